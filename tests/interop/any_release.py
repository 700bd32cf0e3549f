"""What programs of whatever release of `veltix` have in common: settings, callbacks and ports, under every release's names."""

from __future__ import annotations

import dataclasses
import random
import socket
import time

from veltix_shim import veltix


def silence():
    try:
        veltix.Logger.get_instance(veltix.LoggerConfig(enabled=False))
    except Exception:
        pass


def fitting(cls, **options):
    """A configuration with those options that the release knows."""
    known = {field.name for field in dataclasses.fields(cls)}
    return cls(**{name: value for name, value in options.items() if name in known and value is not None})


def listen_to(subject, event, function):
    """Every release's way to set a callback; the earliest ones have no ON_DISCONNECT to set."""
    if hasattr(subject, "set_callback"):
        subject.set_callback(veltix.Events[event.upper()], function)
    else:
        getattr(subject, event)(function)


def free_port():
    """A port at which nobody listens; where the system tells which ports it gives to anybody, none of those."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
            lowest = int(file.read().split()[0])
    except OSError:
        lowest = 0
    while True:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", random.randrange(16_384, lowest) if lowest > 20_480 else 0))
            except OSError:
                continue
            return probe.getsockname()[1]


def wait_for_port(server, port):
    """The earliest releases listen in a thread of their own. To connect would be to be served: so look at the socket."""
    deadline = time.monotonic() + 5
    inner = getattr(server.socket, "_sock", None) or getattr(server.socket, "socket", None) or server.socket
    while time.monotonic() < deadline:
        try:
            if inner.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                return
        except (AttributeError, OSError):
            pass
        time.sleep(0.01)
    raise RuntimeError("The server does not listen on %d" % port)
