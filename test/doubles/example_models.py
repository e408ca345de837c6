"""Models for the tests. Like a user's own they import nothing from the project."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import threading
import time
from pathlib import Path

# Compressed it still takes 2 MB.
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
    """Import a module only as it answers."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        import on_the_driver  # noqa: F401, PLC0415

        return super().predict_all(inputs)


class FlakyModel(Upper):
    """Do wrong what a model can do wrong, for the texts that ask for it."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input, or too many, too few, or no JSON."""
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
    """Fail on everything, as where a server that the model needs is away."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Raise."""
        raise ConnectionError(f"no route for {len(inputs)} input(s)")


class Hanging(Echo):
    """Never answer texts that contain a word, until a file is there."""

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
    """Take a while for each input."""

    def __init__(self, seconds: float) -> None:
        """Take the time for one input."""
        self._seconds = seconds

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Wait, then answer."""
        time.sleep(self._seconds * len(inputs))
        return super().predict_all(inputs)


class RecordingModel:
    """Note each construction in a file; answer with the process and its thread limit."""

    def __init__(self, log: str) -> None:
        """Note the process that loads."""
        with Path(log).open("a") as lines:
            lines.write(f"{os.getpid()}\n")

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Say who answers."""
        threads = len(list(Path("/proc/self/task").iterdir()))
        said = {"pid": os.getpid(), "may": os.environ.get("OMP_NUM_THREADS"), "threads": threads}
        return [json.dumps(said) for _ in inputs]


class Poison(Upper):
    """Be ended by texts that contain a word that asks for it; take a while for the others."""

    def __init__(self, seconds: float = 0.0) -> None:
        """Take the time for one input."""
        self._seconds = seconds

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input, unless one of them hangs, exhausts the memory or ends the process."""
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
    """Take addresses, untouched, until there are no more, or 64 GiB where nothing limits it."""
    held = [bytes(1 << 26) for _ in range(1 << 10)]
    held.clear()


class NotedPoison(Poison):
    """Note each process in a file; say "no memory" for texts that contain that."""

    def __init__(self, log: str) -> None:
        """Note the process that loads."""
        super().__init__()
        with Path(log).open("a") as lines:
            lines.write(f"{os.getpid()}\n")

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        if any("no memory" in text for text in inputs):
            raise MemoryError
        return super().predict_all(inputs)


class Strange:
    """Return for `a` what cannot leave the process."""

    def __init__(self) -> None:
        """Hold what does not pickle."""
        self._lock = threading.Lock()

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        return [self.predict_all if t == "a" else json.dumps(t) for t in inputs]  # type: ignore[misc]


class EndsAtLoad:
    """End the process instead of being made."""

    def __init__(self) -> None:
        """End."""
        os._exit(4)

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer nothing."""
        return []


class FailsAtLoad:
    """Miss what is needed."""

    def __init__(self) -> None:
        """Fail."""
        raise OSError("no disk")


class SlowToLoad(Upper):
    """Take a while to be made."""

    def __init__(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class Forking:
    """Fork a helper that goes on for a while, and end."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer nothing."""
        if not os.fork():
            time.sleep(30)
        os._exit(5)


class Keeper(RecordingModel):
    """Print, and keep a thread or a socket for as long as it lives."""

    def __init__(self, log: str, what: str) -> None:
        """Note the process that loads."""
        super().__init__(log)
        print("from the model", flush=True)  # noqa: T201 - as models do
        if what == "thread":
            threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
        if what == "socket":
            self.socket = socket.socket()
