"""The client process of a measurement, as `client.ts` is one: runs one workload and tells its figures."""

from __future__ import annotations

import json
import statistics
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from any_release import fitting, listen_to
from support import ECHO, MESSAGE, Check, payloads, run, tell
from veltix_shim import veltix

SIZE = 64
RING = 4096
# Passes are smaller than those of faster subjects: they are rates all the same.
BURSTS = (("burst 64 B", 64, 10_000), ("burst 1 KB", 1024, 5_000), ("burst 64 KB", 65_536, 200))
LIMIT = 30


class Client:
    """Runs one workload; asks the server through the orchestrator."""

    def __init__(self, config):
        self.port = config["port"]
        self.pace = config["pace"]
        self.counted = 0
        self.notes = []

    def connect(self, receive=lambda response: None):
        options = {"server_addr": "127.0.0.1", "buffer_size": 65_536, "max_workers": 1, "retry": 0}
        client = veltix.Client(fitting(veltix.ClientConfig, port=self.port, **options))
        listen_to(client, "on_recv", lambda response, *_: receive(response))
        if not client.connect():
            raise RuntimeError("Cannot connect")
        return client

    def ask(self, **command):
        tell("ask", value=command)
        return json.loads(sys.stdin.readline())

    def confirm(self, sent, count):
        wrong = sum(count[name] for name in ("gaps", "twice", "inversions", "damaged"))
        if count["received"] != sent or wrong:
            raise RuntimeError(f"Lost or reordered messages: of {sent}, {count}")
        self.counted += sent

    def passes(self, each, once):
        """Messages a second, and how many passes there were."""
        count, figures = 0, []
        for pace in ("warmUp", "measure"):
            start, first = time.perf_counter(), count
            while count == first or (time.perf_counter() - start) * 1000 < self.pace[pace]:
                once()
                count += 1
            figures.append((count - first) * each / (time.perf_counter() - start))
        return figures[1], count

    def rtt(self):
        client, check, ring, times = self.connect(), Check(1, RING, SIZE), payloads(SIZE, 0, RING), []

        def once():
            times.append([])
            for _ in range(200):
                start = time.perf_counter()
                response = client.send_and_wait(veltix.Request(ECHO, ring[check.received % RING]), timeout=LIMIT)
                times[-1].append((time.perf_counter() - start) * 1e6)
                check.take(bytes(response.content))

        self.passes(200, once)
        self.confirm(200 * len(times), check.told())
        measured = [value for values in times[len(times) // 3 :] for value in values]
        cuts = statistics.quantiles(measured, n=100)
        return {"rtt p50": statistics.median(measured), "rtt p99": cuts[98]}

    def pipelined(self):
        figures = {}
        for in_flight in (100, 1000):
            check, ring, room = Check(1, RING, SIZE), payloads(SIZE, 0, RING), threading.Semaphore(in_flight)
            sent = [0]

            def receive(response, check=check, room=room):
                check.take(bytes(response.content))
                room.release()

            client = self.connect(receive)

            def once(client=client, ring=ring, room=room, sent=sent, in_flight=in_flight):
                for _ in range(5000):
                    acquire(room)
                    client.sender.send(veltix.Request(ECHO, ring[sent[0] % RING]))
                    sent[0] += 1
                for _ in range(in_flight):
                    acquire(room)
                for _ in range(in_flight):
                    room.release()

            figures[f"pipelined {in_flight}"], _ = self.passes(5000, once)
            self.confirm(sent[0], check.told())
            client.disconnect()
        return figures

    def one_way(self, clients, each, size):
        confirmed = threading.Event()
        peers = [self.connect(lambda response: confirmed.set()) for _ in range(clients)]
        ring = max(16, min(RING, 2**20 // (size * clients)))
        rings = [payloads(size, sender, ring) for sender in range(clients)]
        sent = [0] * clients
        self.ask(type="count", senders=clients, ring=ring, size=size, **{"pass": clients * each})

        def send(index):
            for _ in range(each):
                peers[index].sender.send(veltix.Request(MESSAGE, rings[index][sent[index] % ring]))
                sent[index] += 1

        with ThreadPoolExecutor(clients) as pool:

            def once():
                confirmed.clear()
                list(pool.map(send, range(clients)))
                if not confirmed.wait(LIMIT):
                    raise RuntimeError(f"Lost messages: {self.ask(type='report')['count']} of {sum(sent)}")

            rate, _ = self.passes(clients * each, once)
        self.confirm(sum(sent), self.ask(type="report")["count"])
        for peer in peers:
            peer.disconnect()
        return rate

    def burst(self):
        return {name: self.one_way(1, each, size) for name, size, each in BURSTS}

    def stress(self):
        return {"stress": self.one_way(100, 100, SIZE)}

    def broadcast(self):
        clients, messages, lock, heard, left = 100, 50, threading.Lock(), threading.Event(), [0]
        checks = [Check(1, 1024, SIZE) for _ in range(clients)]

        def receiver(check):
            def receive(response):
                check.take(bytes(response.content))
                with lock:
                    left[0] -= 1
                    if left[0] == 0:
                        heard.set()

            return receive

        peers = [self.connect(receiver(check)) for check in checks]

        def once():
            for check in checks:
                check.expected = [0]
            left[0] = clients * messages
            heard.clear()
            self.ask(type="broadcast", messages=messages, ring=1024, size=SIZE)
            peers[0].sender.send(veltix.Request(MESSAGE, payloads(SIZE, 0, 1)[0]))
            if not heard.wait(LIMIT):
                raise RuntimeError(f"Lost messages: {left[0]} deliveries did not come")

        rate, passes = self.passes(clients * messages, once)
        for check in checks:
            self.confirm(passes * messages, check.told())
        return {"broadcast": rate}

    def visit(self, _):
        self.connect().disconnect()

    def connecting(self):
        with ThreadPoolExecutor(32) as pool:
            rate, _ = self.passes(96, lambda: list(pool.map(self.visit, range(96))))
        return {"connect": rate}

    def idle(self):
        warm, many = 50, min(1000, self.pace["connections"])
        self.notes.append(f"idle memory at 10,000 connections skipped: {many:,} are what is asked of it")
        peers = [self.connect() for _ in range(warm)]
        before = self.settled()
        peers += [self.connect() for _ in range(many)]
        fresh = self.settled()
        for peer in peers[warm:]:
            peer.send_and_wait(veltix.Request(ECHO, bytes(SIZE)), timeout=LIMIT)
        used = self.settled()
        if self.ask(type="report")["connected"] != warm + many:
            raise RuntimeError("Lost connections")
        return {"idle memory": (fresh - before) / many, "idle memory, used": (used - before) / many}

    def settled(self):
        readings = []
        for _ in range(5):
            time.sleep(0.1)
            readings.append(self.ask(type="report", memory=True)["memory"])
        return min(readings)


def acquire(room):
    if not room.acquire(timeout=LIMIT):
        raise RuntimeError("Lost messages: a reply did not come")


def measure(config):
    client = Client(config)
    workloads = {
        "rtt": client.rtt,
        "pipelined": client.pipelined,
        "burst": client.burst,
        "stress": client.stress,
        "broadcast": client.broadcast,
        "connect": client.connecting,
        "idle": client.idle,
    }
    figures = workloads[config["workload"]]()
    tell("result", value={"figures": figures, "python": [], "counted": client.counted, "notes": client.notes})


if __name__ == "__main__":
    run(measure)
