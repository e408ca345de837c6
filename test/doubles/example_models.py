"""Models for the tests. Like users' models, they import nothing from the project."""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import socket
import threading
import time
from pathlib import Path

# Random, so that it takes 2 MB even when compressed.
HUGE = random.Random(1).randbytes(2_000_000).hex()  # noqa: S311 - no secret


class Echo:
    """Answer with the input."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        return [json.dumps(text) for text in inputs]


class Upper:
    """Answer in capitals; raise if an input contains `raise`."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        if any("raise" in text for text in inputs):
            raise ValueError("asked to raise")
        return [json.dumps(text.upper()) for text in inputs]


class ImportsLate(Upper):
    """Import a module only when it predicts."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        importlib.import_module("on_the_driver")
        return super().predict_all(inputs)


class FlakyModel(Upper):
    """Fail in the way that a text asks for."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input; or too many, too few, or with invalid JSON."""
        answers = super().predict_all(inputs)
        if any("too few" in text for text in inputs):
            return answers[1:]
        if any("too many" in text for text in inputs):
            return [*answers, '"one more"']
        return [
            "{not JSON" if "no json" in text else json.dumps(HUGE) if "huge" in text else a
            for text, a in zip(inputs, answers, strict=True)
        ]


class Broken:
    """Fail on every input, like a model whose server is down."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Raise."""
        raise ConnectionError(f"no route for {len(inputs)} input(s)")


class Hanging(Echo):
    """Hang on texts that contain a word, until a file exists."""

    def __init__(self, until: str, on: str = "") -> None:
        """Take the file's path, and the word."""
        self._until = Path(until)
        self._on = on

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Wait, then answer."""
        while any(self._on in text for text in inputs) and not self._until.exists():
            time.sleep(0.05)
        return super().predict_all(inputs)


class Slow(Echo):
    """Take some time for each input."""

    def __init__(self, seconds: float) -> None:
        """Take the time for one input."""
        self._seconds = seconds

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Wait, then answer."""
        time.sleep(self._seconds * len(inputs))
        return super().predict_all(inputs)


class Jittery:
    """Take a random time for each call; answer with the input."""

    def __init__(self, seconds: float) -> None:
        """Take the longest time for a call."""
        self._seconds = seconds

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Wait, then answer."""
        share = random.random() ** 6  # noqa: S311 - no secret; most are small
        time.sleep(self._seconds * share)
        return [json.dumps(text) for text in inputs]


class Together:
    """Answer once so many processes predict at the same time; answer with the process."""

    def __init__(self, folder: str, processes: int) -> None:
        """Take an empty folder, and how many processes there must be."""
        self._folder = Path(folder)
        self._processes = processes

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Wait in the first call of each process for the others, then answer."""
        (self._folder / str(os.getpid())).touch()
        while len(list(self._folder.iterdir())) < self._processes:
            time.sleep(0.01)
        return [str(os.getpid()) for _ in inputs]


class RecordingModel:
    """Record each construction in a file; answer with the process and its threads."""

    def __init__(self, log: str) -> None:
        """Record the process that loads the model."""
        with Path(log).open("a") as lines:
            lines.write(f"{os.getpid()}\n")

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input with the process's id, thread limit and number of threads."""
        threads = len(list(Path("/proc/self/task").iterdir()))
        process = {"pid": os.getpid(), "may": os.environ.get("OMP_NUM_THREADS"), "threads": threads}
        return [json.dumps(process) for _ in inputs]


class Poison(Upper):
    """Hang, crash or exhaust the memory if a text asks for it; take some time for other texts."""

    def __init__(self, seconds: float = 0.0) -> None:
        """Take the time for one input."""
        self._seconds = seconds

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input, unless one of them asks for a failure."""
        for text in inputs:
            if "hang" in text:
                time.sleep(3600)
            if "segfault" in text:
                os.kill(os.getpid(), signal.SIGSEGV)
            if "exit" in text:
                os._exit(3)
            if "memory" in text:
                _exhaust_memory()
            if "print" in text:
                print("from the model", flush=True)  # noqa: T201 - as models do
        time.sleep(self._seconds * len(inputs))
        return super().predict_all(inputs)


def _exhaust_memory() -> None:
    """Allocate address space until there is no more, but at most 64 GiB."""
    held = [bytes(1 << 26) for _ in range(1 << 10)]
    held.clear()


class NotedPoison(Poison):
    """Record each process in a file; raise MemoryError for texts with `no memory`."""

    def __init__(self, log: str) -> None:
        """Record the process that loads the model."""
        super().__init__()
        with Path(log).open("a") as lines:
            lines.write(f"{os.getpid()}\n")

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        if any("no memory" in text for text in inputs):
            raise MemoryError
        return super().predict_all(inputs)


class Quoting(str):
    """Text whose methods lie about it."""

    __slots__ = ()

    def __str__(self) -> str:
        """Return another text."""
        return "{not JSON"

    def encode(self, *_: object) -> bytes:
        """Return other bytes."""
        return b"{not JSON"


class Strange:
    """Answer with an object of the type that a text asks for; otherwise with the text."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input, and change the list of inputs."""
        objects = {
            "method": self.predict_all,
            "dict": {"a": 1},
            "bytes": b'"a"',
            "int": 1,
            "None": None,
            "class": type("\u00e9", (), {})(),
            "str": Quoting('"a"'),
            "surrogate": '"\ud800"',
        }
        outputs = [objects.get(text, json.dumps(text)) for text in inputs]
        if "no list" in inputs:
            return {"outputs": outputs}  # type: ignore[return-value]
        if "iterator" in inputs:
            return iter(outputs)  # type: ignore[return-value]
        inputs.clear()
        return tuple(outputs)  # type: ignore[return-value]


class EndsAtLoad:
    """Exit the process while loading."""

    def __init__(self) -> None:
        """Exit."""
        os._exit(4)

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer nothing."""
        return []


class FailsAtLoad:
    """Fail to load."""

    def __init__(self) -> None:
        """Fail."""
        raise OSError("no disk")


class SlowToLoad(Upper):
    """Take some time to load."""

    def __init__(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class Forking:
    """Fork a helper that runs for 30 s, and exit."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer nothing."""
        if not os.fork():
            time.sleep(30)
        os._exit(5)


class Keeper(RecordingModel):
    """Print while loading, and keep a thread or a socket."""

    def __init__(self, log: str, what: str) -> None:
        """Record the process that loads the model."""
        super().__init__(log)
        print("from the model", flush=True)  # noqa: T201 - as models do
        if what == "thread":
            threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
        if what == "socket":
            self.socket = socket.socket()
