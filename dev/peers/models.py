"""Models for the peers' tests. Like users' models, they import nothing from the project."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, ClassVar

Schema = dict[str, Any]

NUMBERS: Schema = {"type": "array", "items": {"type": "number"}}


class Upper:
    """Answer a text in capitals; fail on the text `bad`."""

    output_schema: ClassVar[Schema] = {"type": "string"}

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        if "bad" in inputs:
            raise ValueError("a bad text")
        return [json.dumps(text.upper()) for text in inputs]


class Entities:
    """Find the words of a text that begin with a capital."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        found = [[word for word in text.split() if word[:1].isupper()] for text in inputs]
        return [json.dumps([{"entity": word, "category": "NAME"} for word in row]) for row in found]


class Score:
    """Answer an object with an object."""

    sample = '{"x": 1, "name": "a"}'
    input_schema: ClassVar[Schema] = {
        "type": "object",
        "properties": {"x": {"type": "number"}, "name": {"type": "string"}},
        "required": ["x", "name"],
    }
    output_schema: ClassVar[Schema] = {
        "type": "object",
        "properties": {"p": {"type": "number"}, "label": {"type": "string"}},
        "required": ["p", "label"],
    }

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        rows = [json.loads(text) for text in inputs]
        return [json.dumps({"p": row["x"] / 8, "label": row["name"]}) for row in rows]


class Echo:
    """Answer an array of integers with itself, like `DummyModel` in KServe's tests."""

    output_schema: ClassVar[Schema] = {"type": "array", "items": {"type": "integer"}}

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input: the first column, if it has several."""
        rows = [json.loads(text) for text in inputs]
        return [
            json.dumps(next(iter(row.values())) if isinstance(row, dict) else row) for row in rows
        ]


class Integers(Echo):
    """The same, for arrays of integers only."""

    input_schema: ClassVar[Schema] = {"type": "array", "items": {"type": "integer"}}


class Doubled:
    """Answer an array of numbers with itself in two fields, like `DummyFP16OutputModel`."""

    sample = '{"fp32_input": [1, 2]}'
    input_schema: ClassVar[Schema] = {"type": "object", "properties": {"fp32_input": NUMBERS}}
    output_schema: ClassVar[Schema] = {
        "type": "object",
        "properties": {"fp16_output": NUMBERS, "fp32_output": NUMBERS},
    }

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        rows = [json.loads(text)["fp32_input"] for text in inputs]
        return [json.dumps({"fp16_output": row, "fp32_output": row}) for row in rows]


class Renamed:
    """Answer two arrays with other names, like `DummyFP16InputModel`."""

    sample = '{"fp16_input": [1, 2], "str_input": ["a", "b"]}'
    input_schema: ClassVar[Schema] = {
        "type": "object",
        "properties": {"fp16_input": NUMBERS, "str_input": {"type": "array"}},
    }

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        rows = [json.loads(text) for text in inputs]
        return [
            json.dumps({"str_output": row.get("str_input"), "fp32_output": row["fp16_input"]})
            for row in rows
        ]


class Now:
    """Answer every input with the time, like `DateTimeModel`."""

    output_schema: ClassVar[Schema] = {"type": "string"}

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        return [json.dumps(datetime.now(UTC).isoformat())] * len(inputs)


class Down:
    """Never load."""

    def __init__(self) -> None:
        """Fail."""
        raise OSError("this model never loads")

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer nothing."""
        raise AssertionError(inputs)
