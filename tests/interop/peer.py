"""One Veltix program of whatever Python release is on the path: a server, or some clients, that do as they are told.

It reads one JSON object a line, `{"id", "command", "argument"}`, and answers with `{"id", "value"}` or `{"id", "error"}`; the
first answer, with the id 0, says that it is ready. Payloads travel as numbers and short texts: bulk is made and checked here.
Releases differ in names more than in deeds; all of that is in `Server` and `Clients`. Runs on Python 3.8 and later.

    PYTHONPATH=<release> python3 peer.py server '{"port": 0}'
    PYTHONPATH=<release> python3 peer.py clients '{"port": 8080, "count": 2}'
"""

from __future__ import annotations

import json
import os
import struct
import sys
import threading
import time

from any_release import fitting, free_port, listen_to, silence, wait_for_port
from veltix_shim import OUTPUT, veltix

TEXT = veltix.MessageType(200, "text")
ECHO = veltix.MessageType(201, "echo")
SERIAL = veltix.MessageType(202, "serial")
# Known here, and to nobody else.
PRIVATE = veltix.MessageType(999, "private")
TYPES = {200: TEXT, 201: ECHO, 202: SERIAL, 999: PRIVATE}


def core_named(name):
    return None if name is None else veltix.SocketCore[name.upper()]


def serial_content(serial, size):
    """Four bytes of number, and a pattern that follows from it."""
    return struct.pack(">I", serial) + bytes([serial % 251]) * (size - 4)


class Received:
    """What one connection has got."""

    def __init__(self):
        self.lock = threading.Lock()
        self.texts = []
        self.serials = 0
        self.disordered = 0
        self.damaged = 0

    def take(self, response):
        content = bytes(response.content)
        with self.lock:
            if response.type.code == SERIAL.code:
                serial = struct.unpack(">I", content[:4])[0]
                self.disordered += serial != self.serials
                self.damaged += content != serial_content(serial, len(content))
                self.serials += 1
            elif response.type.code == TEXT.code:
                self.texts.append(content.decode(errors="replace"))

    def told(self):
        with self.lock:
            return {
                "texts": self.texts,
                "serials": self.serials,
                "disordered": self.disordered,
                "damaged": self.damaged,
            }


class Server:
    """A server that echoes."""

    def __init__(self, config):
        port = config.get("port") or free_port()
        self.received = Received()
        self.joined = 0
        self.left = 0
        self.server = veltix.Server(
            fitting(
                veltix.ServerConfig,
                host="127.0.0.1",
                port=port,
                buffer_size=config.get("bufferSize"),
                max_connection=20,
                # Handlers of one connection keep their order with one worker only.
                max_workers=1,
                handshake_timeout=config.get("handshakeTimeout"),
                socket_core=core_named(config.get("core")),
            )
        )
        listen_to(self.server, "on_recv", self.receive)
        listen_to(self.server, "on_connect", self.join)
        listen_to(self.server, "on_disconnect", self.leave)
        self.server.start()
        wait_for_port(self.server, port)
        self.ready = {"port": port}

    def receive(self, client, response):
        if response.type.code == ECHO.code:
            answer = veltix.Request(ECHO, response.content, request_id=response.request_id)
            self.sender.send(answer, client=client.conn)
        else:
            self.received.take(response)

    def join(self, *_):
        self.joined += 1

    def leave(self, *_):
        self.left += 1

    @property
    def sender(self):
        return self.server.sender

    def one(self, which):
        """A client as handlers get it: some releases keep entries around it."""
        client = list(self.server.clients)[which]
        return getattr(client, "info", client)

    def send(self, code, content, which):
        return self.sender.send(veltix.Request(TYPES[code], content), client=self.one(which).conn)

    def broadcast(self, text, excluded):
        request = veltix.Request(TEXT, text.encode())
        left_out = [] if excluded is None else [self.one(excluded)]
        if hasattr(self.server, "broadcast"):
            return self.server.broadcast(request, except_clients=left_out)
        sockets = self.server.get_all_clients_sockets()
        return self.sender.broadcast(request, sockets, except_clients=[client.conn for client in left_out])

    def ask(self, text, which):
        request = veltix.Request(ECHO, text.encode())
        return self.server.send_and_wait(request, self.one(which), timeout=5)

    def ping(self, which):
        return self.server.ping_client(self.one(which), timeout=5)

    def told(self, _):
        return {**self.received.told(), "clients": len(self.server.clients), "joined": self.joined, "left": self.left}

    def leave_them(self, which):
        """Ends one connection where the release can, and all of them where it can't."""
        if hasattr(self.server, "close_client"):
            self.server.close_client(self.one(which))
        else:
            self.server.close_all()

    def close(self):
        self.server.close_all()


class Clients:
    """Some clients of one server, each of which echoes what it is asked."""

    def __init__(self, config):
        self.received = []
        self.left = []
        self.clients = []
        for index in range(config.get("count", 1)):
            client = veltix.Client(
                fitting(
                    veltix.ClientConfig,
                    server_addr="127.0.0.1",
                    port=config["port"],
                    buffer_size=config.get("bufferSize"),
                    max_workers=1,
                    handshake_timeout=config.get("handshakeTimeout"),
                    retry=config.get("retry"),
                    retry_delay=0.2,
                    socket_core=core_named(config.get("core")),
                )
            )
            self.clients.append(client)
            self.received.append(Received())
            self.left.append(0)
            listen_to(client, "on_recv", self.receiver(index))
            try:
                listen_to(client, "on_disconnect", self.leaver(index))
            except Exception:
                pass
        self.ready = {}

    def receiver(self, index):
        def receive(response, *_):
            if response.type.code == ECHO.code:
                answer = veltix.Request(ECHO, response.content, request_id=response.request_id)
                self.clients[index].sender.send(answer)
            else:
                self.received[index].take(response)

        return receive

    def leaver(self, index):
        def leave(*_):
            self.left[index] += 1

        return leave

    def connect(self, which):
        return bool(self.clients[which].connect())

    def send(self, code, content, which):
        return self.clients[which].sender.send(veltix.Request(TYPES[code], content))

    def ask(self, text, which):
        return self.clients[which].send_and_wait(veltix.Request(ECHO, text.encode()), timeout=5)

    def echo(self, size, which):
        """Asks for an echo of `size` bytes; true if just they came back."""
        content = bulk(size)
        response = self.clients[which].send_and_wait(veltix.Request(ECHO, content), timeout=30)
        return response is not None and bytes(response.content) == content

    def ping(self, which):
        return self.clients[which].ping_server(timeout=5)

    def round_trips(self, count, size):
        """The median time of an echo, in milliseconds."""
        times = []
        for _ in range(count):
            start = time.perf_counter()
            if self.clients[0].send_and_wait(veltix.Request(ECHO, bulk(size)), timeout=5) is None:
                raise RuntimeError("no answer")
            times.append(time.perf_counter() - start)
        return sorted(times)[count // 2] * 1000

    def burst(self, count, size):
        """Messages a second, from the first one sent to the answer that comes behind the last."""
        content = bulk(size)
        start = time.perf_counter()
        for _ in range(count):
            self.clients[0].sender.send(veltix.Request(TEXT, content))
        if self.clients[0].send_and_wait(veltix.Request(ECHO, b""), timeout=60) is None:
            raise RuntimeError("no answer")
        return count / (time.perf_counter() - start)

    def told(self, which):
        connected = bool(self.clients[which].is_connected)
        return {**self.received[which].told(), "connected": connected, "left": self.left[which]}

    def leave_them(self, which):
        self.clients[which].disconnect()

    def close(self):
        for client in self.clients:
            client.disconnect()


def bulk(size):
    """Bytes that repeat every 251: a lost or doubled piece shows."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def commands_of(peer):
    # How many of the numbered messages asked for last.
    sent = 0

    def say(argument):
        return peer.send(argument.get("code", 200), argument["text"].encode(), argument.get("which", 0))

    def number(argument):
        """Sends `count` numbered messages of `size` bytes."""
        nonlocal sent
        count, size, which = argument["count"], argument["size"], argument.get("which", 0)
        first = argument.get("first", 0)
        sent = 0
        for serial in range(first, first + count):
            sent += bool(peer.send(SERIAL.code, serial_content(serial, size), which))
        return sent

    def ask(argument):
        response = peer.ask(argument["text"], argument.get("which", 0))
        return None if response is None else bytes(response.content).decode()

    def which(argument):
        return (argument or {}).get("which", 0)

    return {
        "say": say,
        "number": number,
        "ask": ask,
        "ping": lambda argument: peer.ping(which(argument)),
        "told": lambda argument: {**peer.told(which(argument)), "sent": sent},
        "connect": lambda argument: peer.connect(which(argument)),
        "echo": lambda argument: peer.echo(argument["size"], which(argument)),
        "broadcast": lambda argument: bool(peer.broadcast(argument["text"], argument.get("except"))),
        "round_trips": lambda argument: peer.round_trips(argument["count"], argument["size"]),
        "burst": lambda argument: peer.burst(argument["count"], argument["size"]),
        "leave": lambda argument: peer.leave_them(which(argument)) and None,
        # CPU time used so far, in seconds.
        "cpu": lambda argument: time.process_time(),
        "close": lambda argument: peer.close(),
    }


def main():
    silence()
    lock = threading.Lock()

    def answer(**members):
        with lock:
            print(json.dumps(members), file=OUTPUT, flush=True)

    role, config = sys.argv[1], json.loads(sys.argv[2])
    try:
        peer = {"server": Server, "clients": Clients}[role](config)
    except BaseException as error:
        answer(id=0, error=repr(error))
        os._exit(1)
    commands = commands_of(peer)

    def run(order):
        try:
            answer(id=order["id"], value=commands[order["command"]](order.get("argument")))
        except BaseException as error:
            answer(id=order["id"], error=repr(error))

    answer(id=0, value=peer.ready)
    for line in sys.stdin:
        # Each in a thread of its own: what waits for an answer holds up nothing else.
        threading.Thread(target=run, args=(json.loads(line),), daemon=True).start()
    os._exit(0)


if __name__ == "__main__":
    main()
