"""Models to try from the command line. Like users' models, they import nothing from the project."""

from __future__ import annotations

import json
import os

MIB = 1024 * 1024


class Doubler:
    """Double the numbers of an object."""

    def __init__(self, factor: int = 2, **_: object) -> None:
        """Take a factor, and options that change nothing."""
        self._factor = factor

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        return [
            json.dumps({name: self._factor * value for name, value in json.loads(text).items()})
            for text in inputs
        ]


class Strict(Doubler):
    """Bring a sample and a schema along."""

    sample = '{"km": 1}'
    input_schema = {  # noqa: RUF012 - an attribute of the contract
        "type": "object",
        "properties": {"km": {"type": "number"}},
        "required": ["km"],
    }


class Quoted:
    """Answer with numbers that Python would write in another way."""

    sample = "{}"

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        return ["[1.10, 1e400]"] * len(inputs)


class Verbatim:
    """Answer with the input, with as few escapes as JSON allows."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        return [json.dumps(text, ensure_ascii=False) for text in inputs]


class Loud:
    """Print on every way to standard output, and answer with the input."""

    def __init__(self) -> None:
        """Print while loading."""
        self._print("loading")

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Print, and answer every input."""
        self._print("predicting")
        return [json.dumps(text) for text in inputs]

    def _print(self, text: str) -> None:
        print(text)  # noqa: T201 - what it is for
        os.write(1, f"{text} from C\n".encode())


class Large:
    """Take 64 MiB."""

    def __init__(self) -> None:
        """Take the memory."""
        self._weights = b"x" * (64 * MIB)

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer with the number of bytes."""
        return [str(len(self._weights))] * len(inputs)
