"""Run models in a process of their own: the side of that process, and the protocol.

This file needs only the standard library, so that it runs in any Python from 3.7 on:

    python child.py FD PARENT_PID [STACKS_FD]

FD is a stream socket that the process inherits. It answers requests there, one after another, and
ends when the other end closes the socket, or when its parent ends. If a signal such as SIGSEGV or
SIGABRT ends it, it writes the stacks of its threads to STACKS_FD first.

A frame has a length (4 bytes, big-endian) and as many bytes: a JSON object, a line feed, and texts.
The object's field `texts` lists the length of each text in bytes; for an output that is not text it
has the name of the output's type, and no bytes follow. Lone surrogates are encoded like other
characters. Texts travel outside the object because to quote them costs more than all the rest.

Requests:

    {"request": "load", "model": ID, "class": "module:Class", "options": {...}}
    {"request": "predict", "model": ID}, and the inputs as texts

`load` replaces an earlier model of that ID. `pack` describes options that JSON has no type for.

Replies:

    {"sample": TEXT, "input_schema": OBJECT, "output_schema": OBJECT}: the loaded model's, or null
    {}, and the outputs as texts
    {"error": {"kind": KIND, "reusable": BOOLEAN, ...}}

Unless `reusable`, the process should be replaced. The other fields depend on the kind:

    misconfigured, load failed, prediction failed:
        type, module, text, traceback: of the exception
    misconfigured: remedy, what to do about it
    wrong output count:
        inputs: their number; outputs: their number, or the type's name of what is no list
"""

from __future__ import annotations

import ctypes
import faulthandler
import importlib
import json
import os
import resource
import signal
import socket
import struct
import sys
import traceback
from contextlib import suppress
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    # From an ID, a class and options to a model.
    Load = Callable[[str, str, dict[str, Any]], Any]
    Message = dict[str, Any]

MISCONFIGURED = "misconfigured"
LOAD_FAILED = "load failed"
PREDICTION_FAILED = "prediction failed"
WRONG_OUTPUT_COUNT = "wrong output count"

# What a model may have beside its method.
ATTRIBUTES = ("sample", "input_schema", "output_schema")

LENGTH = struct.Struct(">I")
_HEAD = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
PR_SET_PDEATHSIG = 1
# The most of a traceback that goes to the other process.
MAX_FRAMES, MAX_LINES, MAX_LINE = 30, 300, 1000


def main() -> None:
    """Run the process."""
    descriptor, parent, *stacks = map(int, sys.argv[1:])
    if stacks:
        faulthandler.enable(stacks[0])
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the stacks suffice
    # Python looks for modules in a script's folder first. Look in the working folder instead.
    if Path(sys.path[0]).resolve() == Path(sys.argv[0]).resolve().parent:
        sys.path[0] = ""
    die_with_parent(parent)
    with socket.socket(fileno=descriptor) as sock:
        sock.set_inheritable(False)
        serve(sock)


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when the parent's thread ends (prctl(2), Linux)."""
    with suppress(AttributeError):  # on other systems it ends when it next reads the socket
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit()


def outlive_parent() -> None:
    """Take back `die_with_parent`."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, 0)


def load_class(path: str) -> Any:  # noqa: ANN401 - any callable that returns a model
    """Import a class that is given as `package.module:Class`."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def construct(path: str, options: dict[str, Any]) -> Any:  # noqa: ANN401 - any class
    """Return a new model.

    Raises:
        TypeError: The class takes other arguments, or has no method `predict_all`.
        BaseException: Whatever the import and the constructor raise.

    """
    model = load_class(path)(**options)
    if not callable(getattr(model, "predict_all", None)):
        raise TypeError(f"{type(model).__name__} has no method predict_all")
    return model


def serve(
    sock: socket.socket, load: Load = lambda _, path, options: construct(path, options)
) -> None:
    """Answer requests until the other end closes the socket."""
    models: dict[str, Any] = {}
    with suppress(EOFError, ConnectionError):
        while True:
            send(sock, _answer(models, load, *receive(sock)))


def _answer(models: dict[str, Any], load: Load, request: Message, texts: list[str]) -> bytes:
    """Return the reply's frame."""
    try:
        if request["request"] == "load":
            return _load(models, load, request)
        return _predict(models[request["model"]], texts)
    except BaseException as cause:  # noqa: BLE001 - also exits and Rust's panics; the process lives on
        return _failure(cause, kind=PREDICTION_FAILED)


def _load(models: dict[str, Any], load: Load, request: Message) -> bytes:
    name, path = request["model"], request["class"]
    try:
        model = models[name] = load(name, path, unpack(request["options"]))
        return encode({each: getattr(model, each, None) for each in ATTRIBUTES})
    except BaseException as cause:  # noqa: BLE001 - the same
        return _failure(cause, **explain(cause, path))


def _predict(model: Any, inputs: list[str]) -> bytes:  # noqa: ANN401 - whatever was loaded
    count = len(inputs)
    outputs = model.predict_all(inputs)
    returned = len(outputs) if isinstance(outputs, (list, tuple)) else type(outputs).__name__
    if returned != count:
        error = {"inputs": count, "outputs": returned}
        return encode({"error": {"kind": WRONG_OUTPUT_COUNT, "reusable": True, **error}})
    return encode({}, outputs)


def explain(cause: BaseException, path: str) -> Message:
    """Return the kind of an error in loading a class, and what to do about it."""
    wrong = (ImportError, SyntaxError, AttributeError, TypeError, FileNotFoundError)
    # Tidemill's own errors have a kind; this file cannot import them.
    if isinstance(cause, wrong) or getattr(cause, "kind", None) == "configuration":
        remedy = "Check the entry's adapter and options. The log's level DEBUG shows the traceback."
        with suppress(Exception):  # a model's module may fail to list its names
            remedy = _remedy(cause, path) or remedy
        return {"kind": MISCONFIGURED, "remedy": remedy}
    return {"kind": LOAD_FAILED}


def _remedy(cause: Any, path: str) -> str:  # noqa: ANN401, PLR0911 - one return for each cause
    """Say what to do about a class that cannot be imported or constructed, if that is known."""
    for note in getattr(cause, "__notes__", ()):
        if note.startswith("hint: "):
            return str(note[len("hint: ") :])
    module, _, name = path.partition(":")
    if isinstance(cause, ModuleNotFoundError) and cause.name:
        if module == cause.name or module.startswith(f"{cause.name}."):
            place = "be installed, lie in the working folder, or be on PYTHONPATH"
            return f"The module {cause.name} must {place}."
        return f"The model imports {cause.name}: install it beside Tidemill."
    if isinstance(cause, AttributeError) and getattr(cause, "name", None) == name:
        if hasattr(cause.obj, "__path__") and getattr(cause.obj, "__file__", None) is None:
            folder = next(iter(cause.obj.__path__), "")
            return (
                f"{module} is the folder {folder}. Run the command in it, or set PYTHONPATH to it."
            )
        near = get_close_matches(name, dir(cause.obj), n=1)
        return f"Did you mean {module}:{near[0]}?" if near else f"{module} has no class {name}."
    if isinstance(cause, SyntaxError):
        return f"Correct line {cause.lineno} of {cause.filename}."
    if isinstance(cause, FileNotFoundError):
        return "Correct the path in the entry's artifact or options, or put the file there."
    if isinstance(cause, TypeError):
        return "The entry's options are the arguments of the class; it needs a method predict_all."
    return ""


def _failure(cause: BaseException, **facts: Any) -> bytes:  # noqa: ANN401 - whatever JSON has
    """Return the frame that reports an exception; release the objects that its frames hold."""
    traceback.clear_frames(cause.__traceback__)
    kind = type(cause)
    try:
        text = str(cause)
    except Exception:  # noqa: BLE001 - a model's exception may fail to print itself
        text = "(it does not print)"
    try:
        frames = _beyond_this_file(cause.__traceback__)
        trace = "".join(traceback.format_exception(kind, cause, frames, -MAX_FRAMES))
    except Exception:  # noqa: BLE001 - the same
        trace = f"{kind.__name__} has no traceback"
    error = {
        "type": kind.__name__,
        "module": kind.__module__,
        "text": text,
        "traceback": "\n".join(line[:MAX_LINE] for line in trace.splitlines()[:MAX_LINES]),
        # After a MemoryError the model may still hold the memory, and every later call would fail.
        "reusable": not isinstance(cause, MemoryError),
    }
    return encode({"error": {**error, **facts}})


def _beyond_this_file(frames: Any) -> Any:  # noqa: ANN401 - a traceback
    """Return a traceback from the first frame of another file on, or all of it."""
    rest, this_file = frames, _beyond_this_file.__code__.co_filename  # also without __file__
    while rest and rest.tb_frame.f_code.co_filename == this_file:
        rest = rest.tb_next
    return rest or frames


def encode(message: Message, texts: Sequence[object] = ()) -> bytes:
    """Return a frame; only outputs may have other types than text."""
    parts = []
    lengths: list[int | str] = []
    for text in texts:
        if isinstance(text, str):
            part = str.encode(text, "utf-8", "surrogatepass")  # a subclass may override its methods
            parts.append(part)
            lengths.append(len(part))
        else:
            lengths.append(type(text).__name__)
    head = _HEAD.encode({**message, "texts": lengths}).encode("utf-8", "surrogatepass") + b"\n"
    size = len(head) + sum(map(len, parts))
    return b"".join([LENGTH.pack(size), head, *parts])


def _decode(frame: bytearray) -> tuple[Message, list[Any]]:
    start = frame.index(b"\n")
    message, texts = json.loads(frame[:start]), []
    start += 1
    for length in message.pop("texts"):
        if isinstance(length, str):
            texts.append(type(length, (), {})())  # stands for an output that is not text
        else:
            texts.append(frame[start : start + length].decode("utf-8", "surrogatepass"))
            start += length
    return message, texts


def send(sock: socket.socket, frame: bytes, on_idle: Callable[[], None] = lambda: None) -> None:
    """Send a frame; call `on_idle` whenever nothing moves within the socket's time-out."""
    rest = memoryview(frame)
    while rest:
        try:
            rest = rest[sock.send(rest) :]
        except TimeoutError:
            on_idle()


def receive(
    sock: socket.socket, on_idle: Callable[[], None] = lambda: None
) -> tuple[Message, list[Any]]:
    """Return a frame's object and texts; call `on_idle` as `send` does.

    Raises:
        EOFError: The other end was closed, perhaps in the middle of a frame.
        ConnectionError: The connection broke, or what came is no frame.

    """
    (size,) = LENGTH.unpack(_read(sock, LENGTH.size, on_idle))
    frame = _read(sock, size, on_idle)
    try:
        return _decode(frame)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConnectionError("this is no frame") from error


def _read(sock: socket.socket, size: int, on_idle: Callable[[], None]) -> bytearray:
    buffer = bytearray(size)
    rest = memoryview(buffer)
    while rest:
        try:
            count = sock.recv_into(rest)
        except TimeoutError:
            on_idle()
            continue
        if not count:
            raise EOFError
        rest = rest[count:]
    return buffer


# The types that YAML has and JSON lacks: how to write a value as JSON, and how to read it.
_TYPES: dict[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "$datetime": (datetime, datetime.isoformat, datetime.fromisoformat),  # which is a date, too
    "$date": (date, date.isoformat, date.fromisoformat),
    "$bytes": (bytes, bytes.hex, bytes.fromhex),
    "$set": (set, lambda items: pack(list(items)), lambda items: set(unpack(items))),
    "$tuple": (tuple, lambda items: pack(list(items)), lambda items: tuple(unpack(items))),
    "$dict": (dict, lambda items: pack(list(items.items())), lambda items: dict(unpack(items))),
}


def pack(value: Any) -> Any:  # noqa: ANN401 - whatever YAML has
    """Return a value as JSON has it; what JSON lacks becomes an object with one key, its type.

    An object with another key that begins with `$`, or one that is no text, becomes a `$dict`.

    Raises:
        TypeError: The value has a type that YAML lacks.

    """
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, list):
        return [pack(item) for item in value]
    if isinstance(value, dict) and all(isinstance(k, str) and k[:1] != "$" for k in value):
        return {key: pack(item) for key, item in value.items()}
    for name, (kind, write, _) in _TYPES.items():
        if isinstance(value, kind):
            return {name: write(value)}
    raise TypeError(f"an option cannot be of type {type(value).__name__}")


def unpack(value: Any) -> Any:  # noqa: ANN401 - whatever YAML has
    """Return the value that was packed."""
    if isinstance(value, list):
        return [unpack(item) for item in value]
    if not isinstance(value, dict):
        return value
    name = next(iter(value), "")
    if name in _TYPES:
        return _TYPES[name][2](value[name])
    return {key: unpack(item) for key, item in value.items()}


if __name__ == "__main__":
    main()
