"""Word paths, values and alternatives of JSON for people; cut what is long."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_PATH, MAX_TEXT = 60, 40  # characters of a field's path, and of a value
PLAIN = re.compile(r"[\w-]+")
NOUNS = {
    "array": "an array",
    "boolean": "a boolean",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}


def field(path: Sequence[str | int], subject: str) -> str:
    """Return the name of a part of a value, such as `the field 'trip.stops[2].km'`.

    The whole value is called `subject`.
    """
    if not path:
        return f"the {subject}"
    name = ""
    for step in path:
        if isinstance(step, int):
            name += f"[{step}]"
        else:
            name += f".{step}" if PLAIN.fullmatch(step) else f"[{_quote(step)}]"
    name = name.removeprefix(".")
    if len(name) > MAX_PATH:
        name = "…" + name[1 - MAX_PATH :]
    return f"the {'item' if isinstance(path[-1], int) else 'field'} '{name}'"


def types(names: Sequence[str]) -> str:
    """Join the names of types with "or"; null comes last."""
    return one_of([NOUNS[name] for name in sorted(names, key="null".__eq__)])


def one_of(words: Sequence[str]) -> str:
    """Join alternatives with "or"; leave out those that there is no room for."""
    words = list(dict.fromkeys(words))
    text = ", ".join(words[:-1])
    if len(text) > MAX_TEXT:
        return f"one of {shorten(text, MAX_TEXT)}"
    return f"{text} or {words[-1]}" if text else "".join(words)


def show(value: object) -> str:
    """Return a value as JSON, or only its type if it is an object or array."""
    match value:
        case dict():
            return NOUNS["object"]
        case list():
            return NOUNS["array"]
    return to_json(value)


def to_json(value: object) -> str:
    """Return a value as JSON."""
    if isinstance(value, str):
        return _quote(value)
    # Numbers that no float can hold are decimals here.
    return shorten(json.dumps(value, ensure_ascii=False, default=str), MAX_TEXT)


def shorten(text: str, limit: int) -> str:
    """Return a text, or its beginning if it is longer than the limit."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _quote(text: str) -> str:
    return f'"{shorten(json.dumps(text, ensure_ascii=False)[1:-1], MAX_TEXT)}"'
