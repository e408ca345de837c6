"""Say in words why a text is not JSON. It is called on failure only: it parses the text again."""

from __future__ import annotations

import json
import re
from typing import NoReturn

import msgspec

WHITE_SPACE = " \t\n\r"  # RFC 8259, section 2
# What the standard library expected, in its words and in ours.
EXPECTED = {
    "Expecting value": "a value",
    "Expecting property name enclosed in double quotes": "a field's name in double quotes",
    "Expecting ':' delimiter": "a colon",
    "Expecting ',' delimiter": "a comma",
}
TOO_DEEP = "it is nested too deeply"


def describe_json_error(text: str) -> str | None:
    """Return what is wrong with a text, and where; None if it is JSON (RFC 8259)."""
    if not text.strip(WHITE_SPACE):
        return "it is empty"
    if text.startswith("\0"):
        return "it begins with a zero byte, as the serializers of a schema registry write it"
    # Numbers stay text: converting millions of digits would take long.
    decoder = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse)
    try:
        decoder.decode(text)
        msgspec.json.decode(text, type=msgspec.Raw)
    except (ValueError, RecursionError) as error:
        return _in_words(error)
    return None


class NotJson(ValueError):
    """JavaScript has this constant, JSON does not."""


def _refuse(constant: str) -> NoReturn:
    raise NotJson(f"{constant} is not JSON")


def _in_words(error: ValueError | RecursionError) -> str:
    match error:
        case json.JSONDecodeError():
            return _syntax(error)
        case NotJson():
            return str(error)
        case RecursionError():
            return TOO_DEEP
    # This is all that the two parsers disagree about.
    return "it holds half of a surrogate pair (such as \\ud83d alone), which is no character"


def _syntax(error: json.JSONDecodeError) -> str:
    text, at = error.doc, error.pos
    place = f"at line {error.lineno}, column {error.colno}"
    found, word = text[at : at + 1], _word(text, at)
    if error.msg.startswith("Unterminated string"):
        said = "it ends in the middle of the string that begins"
    elif at >= len(text.rstrip(WHITE_SPACE)):
        said = "it ends in the middle,"
    elif error.msg == "Extra data":
        said = f"there is text after the end, {word}"
    elif error.msg.startswith("Invalid control character"):
        said = f"the control character U+{ord(found):04X} is not escaped"
    elif error.msg not in EXPECTED:
        said = error.msg[:1].lower() + error.msg[1:].removesuffix(": ")
    elif found in "]}" and text[:at].rstrip(WHITE_SPACE).endswith(","):
        said = f"there is a comma too many before {word}"
    elif found == "'":
        said = "there are single quotes instead of double quotes"
    else:
        said = f"expected {EXPECTED[error.msg]}, found {word}"
    return f"{said} {place}"


def _word(text: str, at: int) -> str:
    """Return the word, or the one character, that begins at a position, in quotes."""
    found = re.compile(r"\w{1,20}|.", re.DOTALL).match(text, at)
    return repr(found[0] if found else "")
