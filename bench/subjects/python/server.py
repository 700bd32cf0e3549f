"""The server process of a measurement, as `server.ts` is one: tells its port, then does as it is told."""

from __future__ import annotations

import gc
import json
import resource
import sys

from any_release import fitting, free_port, listen_to, wait_for_port
from support import ECHO, MESSAGE, Check, payloads, run, tell
from veltix_shim import veltix


class Server:
    def __init__(self):
        self.check = Check(1, 1, 1)
        self.connected = self.left = 0
        self.message = lambda content: False
        # Handlers of one connection keep their order with one worker only.
        options = {"host": "127.0.0.1", "buffer_size": 65_536, "max_connection": 50_000, "max_workers": 1}
        self.port = free_port()
        self.server = veltix.Server(fitting(veltix.ServerConfig, port=self.port, **options))
        listen_to(self.server, "on_connect", self.join)
        listen_to(self.server, "on_recv", self.receive)
        self.server.start()
        wait_for_port(self.server, self.port)

    def join(self, *_):
        self.connected += 1

    def receive(self, client, response):
        content = bytes(response.content)
        if response.type.code == ECHO.code:
            answer = veltix.Request(ECHO, content, request_id=response.request_id)
            self.server.sender.send(answer, client=client.conn)
        elif response.type.code == MESSAGE.code and self.message(content):
            self.server.sender.send(veltix.Request(MESSAGE, content), client=client.conn)

    def obey(self, command):
        if command["type"] == "count":
            self.check = Check(command["senders"], command["ring"], command["size"])
            self.left = command["pass"]
            self.message = lambda content: self.count(content, command["pass"])
        elif command["type"] == "broadcast":
            self.message = lambda content: self.broadcast(command)
        memory = resident() if command.get("memory") else 0
        return {"cpu": cpu(), "memory": memory, "heap": 0, "connected": self.connected, "count": self.check.told()}

    def count(self, content, whole):
        self.check.take(content)
        self.left -= 1
        if self.left == 0:
            self.left = whole
            return True
        return False

    def broadcast(self, command):
        ring = payloads(command["size"], 0, command["ring"])
        for i in range(command["messages"]):
            self.send_all(veltix.Request(MESSAGE, ring[i % len(ring)]))
        return False

    def send_all(self, request):
        if hasattr(self.server, "broadcast"):
            self.server.broadcast(request)
        else:
            self.server.sender.broadcast(request, self.server.get_all_clients_sockets())


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) * 1e6


def resident():
    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def serve(_):
    server = Server()
    tell("result", value=server.port)
    for line in sys.stdin:
        tell("result", value=server.obey(json.loads(line)))


if __name__ == "__main__":
    run(serve)
