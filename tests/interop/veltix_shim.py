"""Imports whatever release of `veltix` is on the path, on today's Pythons, too: `from veltix_shim import OUTPUT, veltix`.

What the library prints goes to standard error from then on; `OUTPUT` is the standard output, for the program alone.

Annotations of releases 1.2 to 1.5 name what is not there: `socket._RetAddress`, and in 1.5.0 a class that is imported for
type checkers only. Without a stand-in they would not even be imported.
"""

from __future__ import annotations

import builtins
import os
import socket

OUTPUT = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

if not hasattr(socket, "_RetAddress"):
    socket._RetAddress = object  # type: ignore[attr-defined]
builtins.MessageType = object  # type: ignore[attr-defined]

import veltix  # noqa: E402

del builtins.MessageType  # type: ignore[attr-defined]

__all__ = ["OUTPUT", "veltix"]
