"""Prints the golden frames of an installed release of Python's `veltix`, as JSON.

Run by hand, when there is a new release, by Python 3.10 or later, with the package on the path; the file has the name that
the release calls itself (1.6.1 says 1.6.0):

    pip install --no-deps --target .tmp/python/2.0.3 veltix==2.0.3
    PYTHONPATH=.tmp/python/2.0.3 python3 scripts/golden_frames.py > tests/vectors/2.0.3.json

All bytes are made by the release's own code: `Request.compile()`, and its handshake with itself over a socket pair. Clock and
ids stand still, so the same release prints the same bytes wherever it runs. `tests/interop_golden_test.ts` compares.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import json
import random
import socket
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "interop"))
from any_release import silence  # noqa: E402
from veltix_shim import OUTPUT, veltix  # noqa: E402

from veltix.network.request import Request  # noqa: E402
from veltix.network.system_types import PING, PONG  # noqa: E402

TIMESTAMP_MS = 1767225600123
# The rest of every UUID.
UUID_TAIL = "-1111-4222-8333-444455556666"
# The id of the HELLO, which the release would draw.
HELLO_ID = 10
# Type, id and content: text, nothing, every byte, zeros under the last code, UTF-8, the magic of frames inside a content.
MESSAGES = [
    (200, 1, b"Hello Server!"),
    (201, 2, b""),
    (499, 0xDEADBEEF, bytes(range(256))),
    (65535, 3, bytes(1000)),
    (777, 4, "héllo 世界 🚀".encode()),
    (333, 0x7FFFFFF0, b"VXVXVX\0\0VX"),
    (PING, 9, b""),
    (PONG, 9, b""),
]


def main() -> None:
    stand_still()
    silence()
    handshake = handshake_module()
    hello, hello_ack = hello_frames(handshake) if hasattr(handshake, "HELLO") else (None, None)
    made = {
        "release": getattr(handshake, "__version__", None) or importlib.metadata.version("veltix"),
        "timestampMs": TIMESTAMP_MS,
        "frames": [frame(*message) for message in MESSAGES],
        "hello": hello,
        "helloAck": hello_ack,
        "handshake": json_messages(handshake) if hasattr(handshake, "json") else None,
    }
    print(json.dumps(made, indent=2), file=OUTPUT)


def stand_still() -> None:
    """Pins what would differ from run to run."""
    # 1.6.9 sends its monotonic clock.
    time.time = time.monotonic = lambda: TIMESTAMP_MS / 1000
    uuid.uuid4 = lambda: uuid.UUID(f"{HELLO_ID:08x}{UUID_TAIL}")
    random.randint = lambda *_: HELLO_ID


def frame(type_or_code: Any, number: int, content: bytes) -> dict[str, Any]:
    """A frame with what is in it."""
    message_type = type_or_code if not isinstance(type_or_code, int) else veltix.MessageType(type_or_code, "golden")
    request_id = id_of(number)
    request = Request(message_type, content, request_id=request_id)
    compiled = request.compile()
    # From 3.0 on there are two encoders.
    if "use_rust" in inspect.signature(request.compile).parameters:
        assert request.compile(use_rust=False) == compiled, "The encoders in Python and in Rust differ"
    return {
        "code": message_type.code,
        "requestId": request_id.hex() if isinstance(request_id, bytes) else request_id,
        "contentHex": content.hex(),
        "frameHex": compiled.hex(),
    }


def id_of(number: int) -> Any:
    """An id as the release has it: a UUID, four bytes, or, of two bytes, a number."""
    drawn = Request(PING, b"").request_id
    if isinstance(drawn, str):
        return f"{number:08x}{UUID_TAIL}"
    # The ids above 32767 belong to servers from 3.0.1 on.
    return number.to_bytes(4, "big") if isinstance(drawn, bytes) else number & 0x7FFF


def handshake_module() -> Any:
    try:
        return importlib.import_module("veltix.handler.handshake_handler")
    except ImportError:
        return None


class Anything:
    """Takes every call: stands for an event bus."""

    def __getattr__(self, _: str) -> Any:
        return lambda *_, **__: None


class Sent(list):
    """Stands for a sender of frames."""

    def send(self, request: Any, **_: Any) -> bool:
        self.append(request.compile())
        return True


def hello_frames(handshake: Any) -> tuple[str, str]:
    """HELLO by a server, and HELLO_ACK by a client that has read it."""
    sent = Sent()
    server, client = (handshake.HandshakeHandler(sent, handshake.Mode[role]) for role in ("SERVER", "CLIENT"))
    _, hello = server.prepare_hello()
    server.send_hello(hello)
    greeting = Request.parse(sent[0])
    assert client.handle_hello(greeting), "A client does not take the HELLO of its own release"
    client.send_hello_ack(greeting.request_id)
    assert server.handle_hello_ack(Request.parse(sent[1])), "A server does not take the HELLO_ACK of its own release"
    return sent[0].hex(), sent[1].hex()


class Recorded:
    """One end of a socket pair, with what was sent there."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self.sent: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.sent.append(bytes(data))
        self.end.sendall(data)

    def recv(self, size: int) -> bytes:
        return self.end.recv(size)

    def settimeout(self, timeout: float | None) -> None:
        self.end.settimeout(timeout)


def json_messages(handshake: Any) -> dict[str, str | None]:
    """The messages of a handshake, and from 2.0.3 on what a full server says in place of the first."""
    server_end, client_end = (Recorded(end) for end in socket.socketpair())
    server, client = (json_handler(handshake, role) for role in ("SERVER", "CLIENT"))
    serving = threading.Thread(target=server.do_server_handshake, args=(server_end,), daemon=True)
    serving.start()
    assert client.do_client_handshake(client_end)[0], "A client does not agree with a server of its own release"
    serving.join()
    greeting, ack = server_end.sent
    (answer,) = client_end.sent
    full = None
    if hasattr(server, "send_rejection"):
        server.send_rejection(server_end, "server_full")
        full = server_end.sent[-1].hex()
    return {"server": greeting.hex(), "client": answer.hex(), "ack": ack.hex(), "full": full}


def json_handler(handshake: Any, role: str) -> Any:
    takes_bus = "bus" in inspect.signature(handshake.HandshakeHandler).parameters
    return handshake.HandshakeHandler(handshake.Mode[role], *[Anything()] if takes_bus else [])


main()
