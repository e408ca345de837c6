"""Explain why a text is not JSON.

Call it only after parsing has failed, because it parses the text again.
"""

from __future__ import annotations

import json
import re
from typing import NoReturn

import msgspec

WHITESPACE = " \t\n\r"  # RFC 8259, section 2
# Map the messages of the standard library's parser to ours.
EXPECTED = {
    "Expecting value": "a value",
    "Expecting property name enclosed in double quotes": "a field's name in double quotes",
    "Expecting ':' delimiter": "a colon",
    "Expecting ',' delimiter": "a comma",
}
TOO_DEEP = "it is nested too deeply"


def describe_json_error(text: str) -> str | None:
    """Return what is wrong with a text, and at which position; None if it is JSON (RFC 8259)."""
    if not text.strip(WHITESPACE):
        return "it is empty"
    if text.startswith("\0"):
        return "it begins with a zero byte, as messages written for a schema registry do"
    # Keep numbers as text: converting millions of digits would take long.
    decoder = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse)
    try:
        decoder.decode(text)
        msgspec.json.decode(text, type=msgspec.Raw)
    except (ValueError, RecursionError) as error:
        return _describe(error)
    return None


class NotJson(ValueError):
    """The text has a constant of JavaScript that JSON lacks, such as NaN."""


def _refuse(constant: str) -> NoReturn:
    raise NotJson(f"{constant} is not JSON")


def _describe(error: ValueError | RecursionError) -> str:
    match error:
        case json.JSONDecodeError():
            return _describe_syntax(error)
        case NotJson():
            return str(error)
        case RecursionError():
            return TOO_DEEP
    # The two parsers disagree about nothing else.
    return "it contains an unpaired surrogate (such as \\ud83d alone)"


def _describe_syntax(error: json.JSONDecodeError) -> str:
    text, position = error.doc, error.pos
    character, word = text[position : position + 1], _word(text, position)
    if error.msg.startswith("Unterminated string"):
        problem = "it ends within the string that begins"
    elif position >= len(text.rstrip(WHITESPACE)):
        problem = "unexpected end of input"
    elif error.msg == "Extra data":
        problem = f"there is text after the end, {word}"
    elif error.msg.startswith("Invalid control character"):
        problem = f"the control character U+{ord(character):04X} is not escaped"
    elif error.msg not in EXPECTED:
        problem = error.msg[:1].lower() + error.msg[1:].removesuffix(": ")
    elif character in "]}" and text[:position].rstrip(WHITESPACE).endswith(","):
        problem = f"there is a trailing comma before {word}"
    elif character == "'":
        problem = "there are single quotes instead of double quotes"
    else:
        problem = f"expected {EXPECTED[error.msg]}, found {word}"
    return f"{problem} at line {error.lineno}, column {error.colno}"


def _word(text: str, position: int) -> str:
    """Return, in quotes, the word or the single character at a position."""
    match = re.compile(r"\w{1,20}|.", re.DOTALL).match(text, position)
    return repr(match[0] if match else "")
