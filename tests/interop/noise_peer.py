"""An end of the encryption that stands on the package `noiseprotocol`, unchanged, and on `cryptography`.

Usage: noise_peer.py client|server SUITE MESSAGES [PORT]

A server prints its port and its public key (hex) and echoes records; a client connects, sends MESSAGES records and checks
that each comes back. Both print `done` at an orderly end. Identities are made anew.
"""

import os
import socket
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from noise.connection import Keypair, NoiseConnection

NAMES = {1: b"Noise_XX_25519_ChaChaPoly_SHA256", 2: b"Noise_XX_25519_AESGCM_SHA256"}
REKEY = 65_536
role, suite, messages = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
# Speaks this suite alone, and is fast at it.
HELLO = b"VXS\x01" + bytes([1 << (suite - 1) | 1 << (suite + 3)])
identity = Ed25519PrivateKey.generate()
public = identity.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def exactly(stream, size):
    data = b""
    while len(data) < size:
        chunk = stream.recv(size - len(data))
        if not chunk:
            raise EOFError(f"{len(data)} of {size} bytes")
        data += chunk
    return data


def message(stream):
    return exactly(stream, int.from_bytes(exactly(stream, 2), "big"))


def framed(data):
    return len(data).to_bytes(2, "big") + data


class End:
    def __init__(self, stream, initiator, prologue):
        self.stream = stream
        self.noise = NoiseConnection.from_name(NAMES[suite])
        self.static = os.urandom(32)
        self.noise.set_keypair_from_private_bytes(Keypair.STATIC, self.static)
        self.noise.set_prologue(prologue)
        (self.noise.set_as_initiator if initiator else self.noise.set_as_responder)()
        self.noise.start_handshake()
        # The package drops its state after the last message, whose signature is still to be checked.
        self.state = self.noise.noise_protocol.handshake_state
        self.sent = self.received = 0

    @property
    def hash(self):
        return self.state.symmetric_state.h

    @property
    def own_static(self):
        return self.state.s.public_bytes

    @property
    def their_static(self):
        return self.state.rs.public_bytes

    def payload(self, label, first):
        text = b"Veltix Noise 1 " + label + self.hash + self.own_static
        return b"\x01" + public + identity.sign(text) + first

    def check(self, label, hash, payload):
        payload = bytes(payload)
        at = 1
        for _ in range(payload[0]):
            key, signature = payload[at : at + 32], payload[at + 32 : at + 96]
            text = b"Veltix Noise 1 " + label + hash + self.their_static
            Ed25519PublicKey.from_public_bytes(key).verify(signature, text)
            at += 96
        return payload[at:]

    def send(self, data):
        if self.sent and self.sent % REKEY == 0:
            self.noise.rekey_outbound_cipher()
        self.sent += 1
        self.stream.sendall(framed(self.noise.encrypt(data)))

    def receive(self):
        if self.received and self.received % REKEY == 0:
            self.noise.rekey_inbound_cipher()
        self.received += 1
        return bytes(self.noise.decrypt(message(self.stream)))


def serve():
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], public.hex(), flush=True)
    stream, _ = listener.accept()
    stream.sendall(HELLO)
    theirs = exactly(stream, 5)
    end = End(stream, False, b"Veltix Noise 1" + HELLO + theirs + bytes([suite]))
    end.noise.read_message(message(stream))
    stream.sendall(bytes([suite]) + framed(end.noise.write_message(end.payload(b"server", b"greeting"))))
    before = end.hash
    first = end.check(b"client", before, end.noise.read_message(message(stream)))
    assert first == b"answer to greeting", first
    while True:
        data = end.receive()
        if data == b"":
            break
        end.send(data)
    end.send(b"")
    stream.shutdown(socket.SHUT_WR)
    assert stream.recv(1) == b""
    print("done", end.received - 1, flush=True)


def connect(port):
    stream = socket.create_connection(("127.0.0.1", port))
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    theirs = exactly(stream, 5)
    end = End(stream, True, b"Veltix Noise 1" + theirs + HELLO + bytes([suite]))
    stream.sendall(HELLO + framed(end.noise.write_message(b"")))
    chosen = exactly(stream, 1)[0]
    assert chosen == suite, chosen
    before = end.hash
    greeting = end.check(b"server", before, end.noise.read_message(message(stream)))
    assert greeting == b"greeting", greeting
    stream.sendall(framed(end.noise.write_message(end.payload(b"client", b"answer to " + bytes(greeting)))))
    pending = b""
    for first in range(0, messages, 100):
        sent = b"".join(b"%8d" % number * (1 + number % 40) for number in range(first, min(first + 100, messages)))
        for number in range(first, min(first + 100, messages)):
            end.send(b"%8d" % number * (1 + number % 40))
        got = pending
        while len(got) < len(sent):
            got += end.receive()
        assert got == sent, (len(got), len(sent))
    end.send(b"")
    stream.shutdown(socket.SHUT_WR)
    assert end.receive() == b""
    assert stream.recv(1) == b""
    print("done", messages, flush=True)


if role == "server":
    serve()
else:
    connect(int(sys.argv[4]))
