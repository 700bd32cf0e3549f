"""Lists the public API of an installed release of Python's `veltix`, one name or option per line, as JSON.

Run by hand, when there is a new release, by Python 3.10 or later, with the package on the path:

    pip install --target /tmp/veltix veltix==2.0.0
    PYTHONPATH=/tmp/veltix python3 scripts/python_api.py > tests/python_api/2.0.0.json

Listed is what `veltix.__all__` names: functions with their parameters, classes with their constructor, public methods,
properties and attributes, fields of dataclasses with their defaults, members of enums. `BEYOND` adds what a program gets to
use although `__all__` does not name it, and the options of the benchmark command are listed, too.
`tests/from_python_test.ts` compares the lists with `docs/from-python.md`.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import enum
import importlib
import importlib.metadata
import inspect
import json
import sys
import textwrap
import types
from typing import Any, Iterator

import veltix

BEYOND = {
    # What `MessageType` registers itself with.
    "veltix.network.types": ["MessageTypeRegistry"],
    # System types that stand beside those in `__all__`.
    "veltix.network.system_types": ["HEARTBEAT", "ERROR", "INVALID_REQUEST"],
    # What `request()` raises when too many are under way.
    "veltix.exceptions": ["IDsExhaustedError"],
    # `server.bus` and `client.bus` of 2.0, and the events to subscribe to there.
    "veltix.internal.bus": ["VeltixBus"],
    "veltix.internal.events": [
        "ServerEvent",
        "ClientEvent",
        "MessageEvent",
        "ProtocolEvent",
        "ErrorEvent",
        "LogEvent",
        "ReconnectEvent",
    ],
}


def main() -> None:
    names = [(name, getattr(veltix, name)) for name in veltix.__all__]
    for module, wanted in BEYOND.items():
        try:
            found = importlib.import_module(module)
        except ImportError:
            continue
        listed = {name for name, _ in names}
        names += [(name, getattr(found, name)) for name in wanted if hasattr(found, name) and name not in listed]
    lines = [line for name, value in names for line in lines_of(name, value)] + list(benchmark_lines())
    release = importlib.metadata.version("veltix")
    print(json.dumps({"release": release, "names": sorted(set(lines))}, indent=2, ensure_ascii=False))


def lines_of(name: str, value: Any) -> Iterator[str]:
    """The lines of one exported name."""
    if inspect.isfunction(value):
        yield name + parameters_of(value)
    elif not inspect.isclass(value):
        yield name
    elif issubclass(value, enum.Enum):
        yield name
        for member in value:
            telling = isinstance(member.value, str) or issubclass(value, int)
            yield f"{name}.{member.name}" + (f" = {shown(member.value, plain=True)}" if telling else "")
    elif issubclass(value, BaseException):
        yield name
    else:
        yield from class_lines(name, value)


def class_lines(name: str, cls: type) -> Iterator[str]:
    """The lines of a class: its constructor, then its members."""
    fields = {field.name: field for field in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else {}
    config = name.endswith("Config")
    yield name if config or cls.__init__ is object.__init__ else name + parameters_of(cls.__init__, bound=True)
    for field in fields.values():
        if field.name.startswith("_"):
            continue
        default = "" if field.default is dataclasses.MISSING else f" = {shown(field.default)}"
        yield f"{name}.{field.name}{default}"
    seen = set(fields)
    own = [base for base in cls.__mro__ if base.__module__.split(".")[0] == "veltix"]
    for base in own:
        for member, value in vars(base).items():
            if member.startswith("_") or member in seen or inspect.ismemberdescriptor(value):
                continue
            seen.add(member)
            if isinstance(value, (classmethod, staticmethod)):
                yield f"{name}.{member}{parameters_of(value.__func__, bound=isinstance(value, classmethod))}"
            elif inspect.isfunction(value):
                yield f"{name}.{member}{parameters_of(value, bound=True)}"
            else:
                yield f"{name}.{member}"
    for base in own:
        for member in attributes_of(base):
            if not member.startswith("_") and member not in seen:
                seen.add(member)
                yield f"{name}.{member}"


def attributes_of(cls: type) -> Iterator[str]:
    """The attributes of a class's objects: its slots, and what its methods set on `self`."""
    yield from vars(cls).get("__slots__", ())
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(cls)))):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            if isinstance(target, ast.Attribute) and getattr(target.value, "id", None) == "self":
                yield target.attr


def parameters_of(function: Any, bound: bool = False) -> str:
    """The parameters of a function in parentheses, without their types."""
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())[1 if bound else 0 :]
    parts: list[str] = []
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        no_default = parameter.default is parameter.empty
        parts.append(parameter.name if no_default else f"{parameter.name}={shown(parameter.default)}")
    return f"({', '.join(parts)})"


def shown(value: Any, plain: bool = False) -> str:
    """A default as it stands in the source."""
    if value is sys.stdout:
        return "sys.stdout"
    if isinstance(value, enum.Enum) and not plain:
        return f"{type(value).__name__}.{value.name}"
    if type(value) is object:
        return "..."
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def benchmark_lines() -> Iterator[str]:
    """The options of `veltix-benchmark`, which needs no psutil to name them."""
    sys.modules.setdefault("psutil", types.ModuleType("psutil"))
    cli = importlib.import_module("veltix.benchmark.cli")
    parsers: list[argparse.ArgumentParser] = []

    def keep(self: argparse.ArgumentParser, *_: Any) -> argparse.Namespace:
        parsers.append(self)
        return argparse.Namespace()

    parse_args = argparse.ArgumentParser.parse_args
    argparse.ArgumentParser.parse_args = keep  # type: ignore[method-assign]
    try:
        cli.parse_args()
    finally:
        argparse.ArgumentParser.parse_args = parse_args  # type: ignore[method-assign]
    for entry in importlib.metadata.entry_points(group="console_scripts"):
        if entry.value.startswith("veltix."):
            yield entry.name
    for action in parsers[0]._actions:
        default = action.default
        if isinstance(default, list):
            default = " ".join(default)
        suffix = "" if default in (None, argparse.SUPPRESS) else f" = {default}"
        yield f"{action.option_strings[-1]}{suffix}"


main()
