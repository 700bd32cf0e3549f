"""What the server and the client process share: whatever release of Python's Veltix is on the path (1.6 and later), the lines
to the orchestrator, and payloads with serial numbers and their check, as in `payloads.ts`.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import threading

from any_release import silence
from veltix_shim import OUTPUT, veltix

MESSAGE = veltix.MessageType(200, "message")
ECHO = veltix.MessageType(201, "echo")
LOCK = threading.Lock()


def tell(kind, **members):
    with LOCK:
        print(json.dumps({"type": kind, **members}), file=OUTPUT, flush=True)


def payloads(size, sender, ring):
    """Each with its place in the ring and its sender's number, as in `payloads.ts`."""
    return [struct.pack(">HH", i, sender) + bytes((k + i) & 255 for k in range(4, size)) for i in range(ring)]


class Check:
    """Counts what comes, as in `payloads.ts`."""

    def __init__(self, senders, ring, size):
        self.expected = [0] * senders
        self.ring = ring
        self.size = size
        self.received = self.gaps = self.twice = self.inversions = self.damaged = 0

    def take(self, content):
        serial, sender = struct.unpack_from(">HH", content)
        self.received += 1
        self.damaged += len(content) != self.size
        ahead = (serial - self.expected[sender]) % self.ring
        if ahead < self.ring / 2:
            self.gaps += ahead
            self.expected[sender] = (serial + 1) % self.ring
        elif ahead == self.ring - 1:
            self.twice += 1
        else:
            self.inversions += 1

    def told(self):
        return {name: getattr(self, name) for name in ("received", "gaps", "twice", "inversions", "damaged")}


def run(work):
    """Does all that a process is for, tells of its end, and ends it."""
    silence()
    try:
        work(json.loads(sys.argv[1]))
    except BaseException as error:
        tell("failed", message=repr(error))
    sys.stdin.read()
    os._exit(0)
