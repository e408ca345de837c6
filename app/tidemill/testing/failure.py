"""Fail a test with a message for the model's author."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.inference.model import ModelSpec

MAX_SHOWN = 200  # characters of an input or an output in a message
MAX_FACTS = 10
BEFORE_DIFFERENCE = 30  # characters that are shown before it


def shown(text: str) -> str:
    """Return a text as it fits into a message."""
    if len(text) <= MAX_SHOWN:
        return text
    half = MAX_SHOWN // 2
    return f"{text[:half]} … {text[-half:]} ({len(text)} characters)"


def from_difference(one: str, other: str) -> tuple[str, str]:
    """Return two texts; if one is too long to show, cut both shortly before they differ."""
    if max(len(one), len(other)) <= MAX_SHOWN:
        return one, other
    pairs = enumerate(zip(one, other, strict=False))
    place = next((n for n, (x, y) in pairs if x != y), min(len(one), len(other)))
    start = max(0, place - BEFORE_DIFFERENCE)
    before = "… " if start else ""
    return before + one[start:], before + other[start:]


def quoted(text: str) -> str:
    """Return an input with its invisible characters escaped."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def refuse(
    spec: ModelSpec, problem: str, facts: Sequence[tuple[str, str]], remedy: str
) -> NoReturn:
    """Fail the test: what is wrong, the input and the outputs, and what to do."""
    if len(facts) > MAX_FACTS:
        half = MAX_FACTS // 2
        facts = [*facts[:half], ("…", f"({len(facts) - MAX_FACTS} more)"), *facts[-half:]]
    width = max(len(name) for name, _ in facts)
    lines = [f"  {name:{width}}  {shown(text)}" for name, text in facts]
    pytest.fail("\n".join([f"{spec.id}: {problem}", "", *lines, "", remedy]), pytrace=False)
