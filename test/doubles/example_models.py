"""Models for the tests. Like a user's own they import nothing from the project."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path


class Upper:
    """Answer with the text in capitals; raise on what contains `raise`."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        if any("raise" in text for text in inputs):
            raise ValueError("asked to raise")
        return [json.dumps(text.upper()) for text in inputs]


class Capricious(Upper):
    """Do wrong what a model can do wrong, for the texts that ask for it."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input, or too many, too few, or no JSON."""
        answers = super().predict_all(inputs)
        if any("too few" in text for text in inputs):
            return answers[1:]
        if any("too many" in text for text in inputs):
            return [*answers, '"one more"']
        return [
            "{not JSON"
            if "no json" in text
            else json.dumps("x" * 2_000_000)
            if "huge" in text
            else a
            for text, a in zip(inputs, answers, strict=True)
        ]


class Broken:
    """Fail on everything, as where a server that the model needs is away."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Raise."""
        raise ConnectionError(f"no route for {len(inputs)} input(s)")


class Hanging:
    """Never answer texts that contain a word, until a file is there."""

    def __init__(self, until: str, on: str = "") -> None:
        """Take the file's path, and the word."""
        self._until = Path(until)
        self._on = on

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Wait, then answer."""
        while any(self._on in text for text in inputs) and not self._until.exists():
            time.sleep(0.05)
        return [json.dumps(text) for text in inputs]


class Slow:
    """Take a while for each input."""

    def __init__(self, seconds: float) -> None:
        """Take the time for one input."""
        self._seconds = seconds

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Wait, then answer."""
        time.sleep(self._seconds * len(inputs))
        return [json.dumps(text) for text in inputs]


class Witness:
    """Note each construction in a file; answer with the process and its thread limit."""

    def __init__(self, log: str) -> None:
        """Note the process that loads."""
        with Path(log).open("a") as lines:
            lines.write(f"{os.getpid()}\n")

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Say who answers."""
        said = {"pid": os.getpid(), "threads": os.environ.get("OMP_NUM_THREADS")}
        return [json.dumps(said) for _ in inputs]
