from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import threading
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidemill.models.isolation import child

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# With lone surrogates, which `st.text()` leaves out.
TEXT = st.text(st.characters())
ZONES = st.none() | st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m)))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | TEXT
    | st.binary()
    | st.dates()
    | st.datetimes(timezones=ZONES)
)
OPTIONS = st.dictionaries(
    TEXT,
    st.recursive(
        SCALARS | st.sets(SCALARS),
        lambda inner: (
            st.lists(inner) | st.dictionaries(SCALARS, inner) | st.lists(inner).map(tuple)
        ),
        max_leaves=10,
    ),
)


def typed(value: object) -> object:
    """Return a value that equals only one of the same types, as 1, 1.0 and True do not."""
    if isinstance(value, dict):
        return [(typed(key), typed(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [typed(item) for item in value]
    if isinstance(value, set):
        return {typed(item) for item in value}
    return type(value), value


class Keeper:
    """Keep the options; answer with the inputs."""

    def __init__(self, **options: object) -> None:
        """Keep the options."""
        self.options = options

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return the inputs."""
        return inputs


class Client:
    """The other end of a served socket."""

    def __init__(self, sock: socket.socket) -> None:
        """Take the socket."""
        self._socket = sock

    def request(self, texts: list[str], **fields: object) -> tuple[dict[str, Any], list[str]]:
        """Return the reply to a request."""
        child.send(self._socket, child.encode(fields, texts))
        return child.receive(self._socket)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


@pytest.fixture(scope="module")
def loaded() -> dict[str, Keeper]:
    """The models that were loaded."""
    return {}


@pytest.fixture(scope="module")
def client(loaded: dict[str, Keeper]) -> Iterator[Client]:
    """A client of a thread that serves models."""

    def load(model: str, _: str, options: dict[str, Any]) -> Keeper:
        loaded[model] = Keeper(**options)
        return loaded[model]

    ours, theirs = socket.socketpair()
    server = threading.Thread(target=child.serve, args=(theirs, load))
    server.start()
    with ours:
        yield Client(ours)
    server.join()
    theirs.close()


class TestProtocol:
    """Whatever goes through the socket comes back unchanged."""

    @given(TEXT, OPTIONS, st.lists(TEXT))
    @example("", {"huge": 10**30, "$date": 1, "at": datetime(2026, 1, 1, tzinfo=UTC)}, [""])
    @example("m", {"a": {"$set": [1]}, "b": [{"$dict": {}}], "c": {1: {date(2026, 1, 1)}}}, ["\n"])
    @example("\ud83d\ude00", {"\ud83d\ude00": "\ud83d\ude00"}, ["\ud83d\ude00", "\U0001f600"])
    def test_any(
        self,
        client: Client,
        loaded: dict[str, Keeper],
        model: str,
        options: dict[str, Any],
        texts: list[str],
    ) -> None:
        """Any options that YAML can express, and any texts, survive."""
        fields = {"model": model, "class": "", "options": child.pack(options)}
        assert client.request([], request="load", **fields) == (dict.fromkeys(child.ATTRIBUTES), [])
        assert typed(loaded[model].options) == typed(options)
        assert client.request(texts, request="predict", model=model) == ({}, texts)

    def test_not_a_number(self) -> None:
        """YAML's .nan and .inf survive."""
        message, _ = received(child.encode({"options": child.pack([float("nan"), -float("inf")])}))
        assert repr(child.unpack(message["options"])) == "[nan, -inf]"

    def test_unknown_type(self) -> None:
        """An option that YAML cannot express is refused."""
        with pytest.raises(TypeError, match="an option cannot be of type complex"):
            child.pack({"a": [1j]})

    def test_unknown_model(self, client: Client) -> None:
        """A model that was not loaded is an error, and the process can be used again."""
        unknown = secrets.token_hex()  # which Hypothesis cannot have chosen above
        reply, _ = client.request(["a"], request="predict", model=unknown)
        assert (reply["error"]["type"], reply["error"]["reusable"]) == ("KeyError", True)


def received(*parts: bytes) -> tuple[dict[str, Any], list[str]]:
    """Return what is received if a socket is closed after these bytes."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            for part in parts:
                theirs.sendall(part)
        return child.receive(ours)


class TestFrames:
    """A frame arrives whole or not at all."""

    @given(st.data(), st.lists(TEXT, max_size=3))
    def test_torn(self, data: st.DataObject, texts: list[str]) -> None:
        """A connection that closes within a frame has ended."""
        frame = child.encode({"model": "m"}, texts)
        size = data.draw(st.integers(0, len(frame) - 1))
        with pytest.raises(EOFError):
            received(frame[:size])

    @pytest.mark.parametrize(
        "content",
        [b"", b"\n", b"from the model\n", b"[]\n", b"{}\n", b"\xff\n", b'{"texts": 1}\n', b"{}"],
    )
    def test_garbage(self, content: bytes) -> None:
        """Anything else than a frame breaks the connection."""
        with pytest.raises(ConnectionError):
            received(child.LENGTH.pack(len(content)) + content)

    def test_not_text(self) -> None:
        """An output that is not text becomes an object whose type has the same name."""
        _, texts = received(child.encode({}, ["a", {}, b"b", "c"]))
        assert [type(text).__name__ for text in texts] == ["str", "dict", "bytes", "str"]
        assert (texts[0], texts[3]) == ("a", "c")


MODEL = """
import json, sys

class Modules:
    def __init__(self, prefix):
        self.prefix = prefix
    def predict_all(self, inputs):
        print("garbage on standard output", flush=True)
        found = sorted(name for name in sys.modules if name.startswith(self.prefix))
        return [json.dumps([text, found]) for text in inputs]
"""
START = "import runpy, sys; sys.path.insert(0, {!r}); runpy.run_path({!r}, run_name='__main__')"


class TestAlone:
    """The process needs only the standard library."""

    @pytest.fixture
    def start(self, tmp_path: Path) -> Iterator[tuple[Client, subprocess.Popen[bytes]]]:
        """Start Python without packages, environment or this project."""
        (tmp_path / "their_models.py").write_text(MODEL)
        ours, theirs = socket.socketpair()
        program = START.format(str(tmp_path), child.__file__)
        with theirs:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", "-c", program),
                    *(str(theirs.fileno()), str(os.getpid())),
                ],
                env={},
                cwd="/",
                pass_fds=[theirs.fileno()],
            )
        with ours, process:
            yield Client(ours), process
            ours.close()
            process.wait(60)

    def test_standard_library(self, start: tuple[Client, subprocess.Popen[bytes]]) -> None:
        """It serves a model from a folder, imports nothing of this project, and ends."""
        client, process = start
        load = {"request": "load", "model": "m", "class": "their_models:Modules"}
        client.request([], **load, options={"prefix": "tidemill"})
        reply, (output,) = client.request(["a"], request="predict", model="m")
        assert (reply, json.loads(output)) == ({}, ["a", []])
        client.request([], **load, options={"prefix": ""})
        _, (output,) = client.request(["a"], request="predict", model="m")
        roots = {name.partition(".")[0] for name in json.loads(output)[1]}
        assert roots - sys.stdlib_module_names <= {"their_models", "__main__"}
        assert "json" in roots
        assert process.poll() is None

    def test_end(self, start: tuple[Client, subprocess.Popen[bytes]]) -> None:
        """It ends without an error when the socket closes."""
        client, process = start
        client.request([], request="load", model="m", **{"class": "json:JSON", "options": {}})
        client.close()
        assert process.wait(60) == 0
