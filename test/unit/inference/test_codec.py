from __future__ import annotations

import contextlib
import gzip
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidemill.errors import InvalidJson, InvalidOutput, InvalidUtf8, NullValue
from tidemill.inference.codec import (
    decode_fields,
    decode_text,
    encode_result,
    minify_json,
)

HEADERS = st.lists(
    st.tuples(st.text(st.characters(codec="utf-8")), st.none() | st.binary(max_size=300)),
    max_size=5,
)


ECHOED = decode_fields('{"uuid": null, "lang": "en"}')


class TestDecodeText:
    """A value is decoded as text, or refused with a reason."""

    @pytest.mark.parametrize("text", ["", "a", '{"a": 1}', "\ufeff"])
    def test_byte_order_mark(self, text: str) -> None:
        """A leading byte order mark is a signature, not part of the text."""
        assert decode_text(b"\xef\xbb\xbf" + text.encode()) == text

    @pytest.mark.parametrize(
        ("value", "hint"),
        [
            ("{}".encode("utf-16"), "; it looks like UTF-16"),
            (gzip.compress(b"{}", mtime=0), "; it looks like gzip"),
            (b"\xef\xbb\xbf\xff", "at byte 3"),
        ],
    )
    def test_other_encodings(self, value: bytes, hint: str) -> None:
        """Other encodings are recognised by their first bytes, and named."""
        with pytest.raises(InvalidUtf8) as caught:
            decode_text(value)
        assert str(caught.value).endswith(hint)

    def test_utf8(self) -> None:
        """UTF-8 is decoded, including characters beyond the basic plane."""
        assert decode_text("Zoë 🌊".encode()) == "Zoë 🌊"

    def test_null(self) -> None:
        """A tombstone has its own error."""
        with pytest.raises(NullValue):
            decode_text(None)

    def test_empty(self) -> None:
        """An empty value is text, not a tombstone."""
        assert decode_text(b"") == ""

    @pytest.mark.parametrize("value", [b"a\xff", b"a\xed\xa0\x80", b"a\xc3"])
    def test_not_utf8(self, value: bytes) -> None:
        """Invalid bytes, encoded surrogates and half characters are refused with their position."""
        with pytest.raises(InvalidUtf8, match="at byte 1"):
            decode_text(value)


class TestDecodeFields:
    """Only a JSON object has fields."""

    def test_object(self) -> None:
        """An object's members are the fields."""
        fields = decode_fields(' {"a": 1.0 , "b": null} ')
        assert {name: bytes(value) for name, value in fields.items()} == {"a": b"1.0", "b": b"null"}

    @pytest.mark.parametrize("text", ['{"a": 1e999}', '{"a": 12345678901234567890123}'])
    def test_numbers(self, text: str) -> None:
        """A number too large for any type is still JSON."""
        assert list(decode_fields(text)) == ["a"]

    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            ("[]", "array"),
            ("1", "number"),
            ("1.5", "number"),
            ("null", "null"),
            ('"text"', "string"),
            ("true", "boolean"),
        ],
    )
    def test_other_values(self, text: str, kind: str) -> None:
        """Any other JSON value is refused, and its type named."""
        with pytest.raises(InvalidJson, match=f"it is of type {kind}"):
            decode_fields(text)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            '{"a": NaN}',
            "{'a': 1}",
            '{"a": 1,}',
            '{"a": "\x01"}',
            "\ufeff{}",
        ],
    )
    def test_not_json(self, text: str) -> None:
        """Text that lenient parsers accept is refused, too."""
        with pytest.raises(InvalidJson):
            decode_fields(text)

    @pytest.mark.parametrize("text", [r'{"a": "\ud800"}', r'{"a": "\udc00x"}', r'{"\ud800": 1}'])
    def test_lone_surrogates(self, text: str) -> None:
        """An escaped half of a surrogate pair, which UTF-8 cannot encode, is refused."""
        with pytest.raises(InvalidJson):
            decode_fields(text)

    def test_nested_too_deeply(self) -> None:
        """Nesting beyond the parser's limit is the message's error."""
        with pytest.raises(InvalidJson):
            decode_fields('{"a":' + "[" * 100_000)

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Any text gives either fields or InvalidJson."""
        with contextlib.suppress(InvalidJson):
            assert isinstance(decode_fields(text), dict)


class Text(str):
    __slots__ = ()


class TestMinifyJson:
    """A model's output is one JSON value on one line."""

    @pytest.mark.parametrize(
        ("output", "expected"),
        [
            (" [ 1 ,\n 2 ] ", "[1,2]"),
            ('{"a" : "b c"}', '{"a":"b c"}'),
            ("null", "null"),
            ('"é"', '"é"'),
            ("1e999", "1e999"),
        ],
    )
    def test_json(self, output: str, expected: str) -> None:
        """White space between tokens is removed; nothing else changes."""
        assert minify_json(output) == expected

    @pytest.mark.parametrize(
        "output", ["", "ham", "1 2", "NaN", "[1,]", '"\n"', '"\ud800"', "[" * 99_999]
    )
    def test_not_json(self, output: str) -> None:
        """Text that is not exactly one JSON value is refused."""
        with pytest.raises(InvalidOutput):
            minify_json(output)

    @pytest.mark.parametrize("output", [None, b"[]", [], 1, {"a": 1}])
    def test_not_text(self, output: Any) -> None:  # noqa: ANN401 - what a model may return
        """An output of any other type is refused, and the type named."""
        with pytest.raises(InvalidOutput, match=f"it is {type(output).__name__}, not text"):
            minify_json(output)

    def test_shown(self) -> None:
        """The error gives the reason and the beginning of the output, on one line."""
        with pytest.raises(InvalidOutput) as caught:
            minify_json("{'a': 1,\n" + "x" * 999)
        assert str(caught.value) == (
            "the model's output is not a JSON value: there are single quotes instead of double "
            "quotes at line 1, column 2; it begins with " + repr("{'a': 1,\n" + "x" * 191)
        )

    def test_byte_order_mark(self) -> None:
        """A byte order mark before the output is removed."""
        assert minify_json("\ufeff[1, 2]") == "[1,2]"

    @pytest.mark.parametrize("kind", [Text, np.str_])
    def test_kinds_of_text(self, kind: type[str]) -> None:
        """A subclass of str is text."""
        assert minify_json(kind("[1, 2]")) == "[1,2]"

    @given(st.text())
    @example('{"a": "\x00"}')
    def test_one_line(self, output: str) -> None:
        """Every accepted output is JSON for other parsers, too, and has no line break."""
        try:
            text = minify_json(output)
        except InvalidOutput:
            return
        json.loads(text)
        assert "\n" not in text


class TestEncodeResult:
    """A result is the envelope around the model's output."""

    def encode(self, start: float, end: float, output: str = "[1,2]") -> bytes:
        """Encode a result; only times and output vary."""
        return encode_result(ECHOED, "ner", output, "m:1", (start, end))

    def test_fields(self) -> None:
        """All fields are present in a fixed order, copied ones first, without white space."""
        assert self.encode(1700000000.0, 1700000000.25) == (
            b'{"uuid":null,"lang":"en","ner":[1,2],"model":"m:1",'
            b'"ts_start":"2023-11-14T22:13:20.000Z","ts_end":"2023-11-14T22:13:20.250Z",'
            b'"process_time":0.25,"error_message":null}'
        )

    @pytest.mark.parametrize(
        ("seconds", "expected"),
        [
            (0.0, "1970-01-01T00:00:00.000Z"),
            (1e9, "2001-09-09T01:46:40.000Z"),
            (1700000000.1239, "2023-11-14T22:13:20.123Z"),
        ],
    )
    def test_times(self, seconds: float, expected: str) -> None:
        """Times are in ISO 8601, UTC, always with three digits of milliseconds."""
        assert json.loads(self.encode(seconds, seconds))["ts_start"] == expected

    def test_clock_set_back(self) -> None:
        """A clock that was set back gives no negative duration."""
        assert json.loads(self.encode(10.0, 9.0))["process_time"] == 0.0
