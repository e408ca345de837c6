"""Models that break their contract in one way each, and some that only seem to."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from pathlib import Path


class Lengths:
    """Keep the contract."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer with each text's beginning and length."""
        return [json.dumps([text[:20], len(text)]) for text in inputs]


class Reorders(Lengths):
    """Forget to put the inputs back into their order."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer the shortest text first."""
        return super().predict_all(sorted(inputs, key=len))


class DropsRepeated(Lengths):
    """Answer equal inputs once."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer each text once."""
        return super().predict_all(list(dict.fromkeys(inputs)))


class SplitsLines(Lengths):
    """Hand the inputs to something that separates them by newlines."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer each line."""
        return super().predict_all("\n".join(inputs).split("\n"))


class Yields(Lengths):
    """Return no list."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return an iterator."""
        return iter(super().predict_all(inputs))  # type: ignore[return-value]


class Pads(Lengths):
    """Depend on the longest text of the batch."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer with the share of the longest text."""
        longest = max(map(len, inputs)) or 1
        return [json.dumps({"share": len(text) / longest}) for text in inputs]


class RaisesOnBatches(Lengths):
    """Answer one input at a time only."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer one text."""
        (text,) = inputs
        return super().predict_all([text])


class Draws(Lengths):
    """Draw a random number."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer with a number."""
        return [json.dumps({"score": random.random()}) for _ in inputs]  # noqa: S311 - no secret


class Counts(Lengths):
    """Keep a state across calls."""

    def __init__(self) -> None:
        """Start at zero."""
        self._calls = 0

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer with the number of calls."""
        self._calls += 1
        return [json.dumps(self._calls) for _ in inputs]


class Dicts(Lengths):
    """Forget json.dumps."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer with a dictionary."""
        return [{"length": len(text)} for text in inputs]  # type: ignore[misc]


class NotANumber(Lengths):
    """Write NaN, which is no JSON."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer with the mean length of no words."""
        return [json.dumps(float("nan")) for _ in inputs]


class Noise(Lengths):
    """Add less than a millionth, which depends on the batch."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer with a score."""
        noise = len(inputs) * 1e-8
        return [json.dumps({"scores": [1, len(text) / 7 + noise]}) for text in inputs]


class Swaps(Lengths):
    """Write the keys of an object in another order in each batch size."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer with two lengths."""
        keys = ["a", "b"] if len(inputs) == 1 else ["b", "a"]
        return [json.dumps(dict.fromkeys(keys, len(text))) for text in inputs]


class Unsorted(Lengths):
    """Depend on the order of a set."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer with the words of each text."""
        return [json.dumps(list(set(text.split()))) for text in inputs]


class NeverAnswers(Lengths):
    """Raise on everything."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Raise."""
        raise ConnectionError("no route")


class Sulks(Lengths):
    """Answer differently after an exception."""

    def __init__(self) -> None:
        """Begin well."""
        self._answers = True

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Raise on empty texts."""
        self._answers &= all(inputs)
        if not all(inputs):
            raise ValueError("empty")
        return super().predict_all(inputs) if self._answers else ["null" for _ in inputs]


class Truncates(Lengths):
    """Answer a text with a zero byte with something that is no JSON."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer without json.dumps."""
        return [f'"{len(text)}"' if "\0" not in text else f'"{text}"' for text in inputs]


class Picky(Lengths):
    """Raise on what it cannot read, which is allowed."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Raise on texts that are not words."""
        if not all(text.isprintable() and text.strip() for text in inputs):
            raise ValueError("not words")
        return super().predict_all(inputs)


class Consumes(Lengths):
    """Empty its list of inputs, which is allowed: the list is its own."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer from the front."""
        return [super(Consumes, self).predict_all([inputs.pop(0)])[0] for _ in range(len(inputs))]


class Exits(Lengths):
    """Call sys.exit on empty texts, as a command-line tool does."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Exit."""
        if not all(inputs):
            raise SystemExit(2)
        return super().predict_all(inputs)


class Constant(Lengths):
    """Give every input the same output."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer with null."""
        return ["null" for _ in inputs]


class Threads(Lengths):
    """Start a thread when it is loaded."""

    def __init__(self) -> None:
        """Start it."""
        threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()


class Sockets(Lengths):
    """Keep a socket when it is loaded."""

    def __init__(self) -> None:
        """Open it."""
        self._file = socket.socket().detach()


class LoadsOnce(Lengths):
    """Take a lock that the next process does not get."""

    def __init__(self, lock: str) -> None:
        """Create the file."""
        Path(lock).touch(exist_ok=False)


class Prints(Lengths):
    """Print, as models do."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Print and answer."""
        print("from the model", flush=True)  # noqa: T201 - as models do
        return super().predict_all(inputs)


class SmallBatches(Lengths):
    """Refuse more than its entry allows."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer at most two texts of at most ten characters."""
        if len(inputs) > 2 or any(len(text) > 10 for text in inputs):
            raise SystemExit("more than the entry allows")
        return super().predict_all(inputs)
