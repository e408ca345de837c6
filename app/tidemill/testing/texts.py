"""Texts for models: ordinary ones, hostile ones, and a Hypothesis strategy for more.

All of them can reach a model. A lone surrogate cannot: neither UTF-8 nor a JSON string that
Tidemill accepts may contain one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

ORDINARY = (
    "A good day.",
    "Two\nlines",
    "Zoë moved from München to 東京 in 2019.",
    "12,345.67",
    "The quick brown fox jumps over the lazy dog. " * 8,
)

HOSTILE = (
    "",
    " ",
    "\n",
    " \t\r\n\u00a0\u2003 ",
    "\0",
    "before\0after",
    "\x01\x1b[31m\x7f",
    "\ufeffa byte order mark",
    "\ufffd\ufffe\uffff\U0010ffff",
    "👩‍👩‍👧‍👦🏳️‍🌈🇫🇷",
    "e" + "\u0301" * 200,
    "שלום עולם, مرحبا بالعالم",
    "\u202eright to left\u202c and back\u2066\u2069",
    "\u2028\u2029\u200b\u00ad",
    '{"text": "a JSON object"}',
    '"a JSON string"',
    '["unfinished',
    "null",
    "NaN",
    "\\ud800 \\u0000 \\",
    "%s %(name)s {} {0} ${HOME}",
    "<script>alert(1)</script> '; DROP TABLE reviews; --",
    "word " * 2_000,
    "x" * 100_000,
)

FRAGMENTS = ('"', "\\", "{", "}", "[", "]", ":", ",", "\n", "\0", " ", "a", "é", "🌊", "\u0301")


def batches(max_chars: int, max_size: int) -> SearchStrategy[list[str]]:
    """Return a strategy for small batches of short texts."""
    from hypothesis import strategies as st  # noqa: PLC0415 - importing it takes long

    longest = min(50, max_chars)
    pieces = st.lists(st.sampled_from(FRAGMENTS), max_size=longest).map("".join)
    return st.lists(st.text(max_size=longest) | pieces, min_size=1, max_size=min(4, max_size))
