from __future__ import annotations

import contextlib
import gzip
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidemill.errors import InvalidJson, InvalidOutput, InvalidUtf8, NullValue, PredictionFailed
from tidemill.inference.codec import (
    MAX_ERROR_BYTES,
    compact,
    decode_fields,
    decode_text,
    encode_headers,
    encode_omission,
    encode_result,
    record_size,
)
from tidemill.inference.message import Failure, Message, Prediction

HEADERS = st.lists(
    st.tuples(st.text(st.characters(codec="utf-8")), st.none() | st.binary(max_size=300)),
    max_size=5,
)


ECHOED = decode_fields('{"uuid": null, "lang": "en"}')


class TestDecodeText:
    """A value becomes text, or an error that says why not."""

    @pytest.mark.parametrize("text", ["", "a", '{"a": 1}', "\ufeff"])
    def test_byte_order_mark(self, text: str) -> None:
        """One before the text is taken away; it is a signature, not a character of the text."""
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
        """What is known by its first bytes is named."""
        with pytest.raises(InvalidUtf8) as caught:
            decode_text(value)
        assert str(caught.value).endswith(hint)

    def test_utf8(self) -> None:
        """UTF-8 is decoded, characters beyond the basic plane too."""
        assert decode_text("Zoë 🌊".encode()) == "Zoë 🌊"

    def test_null(self) -> None:
        """A tombstone is an error of its own."""
        with pytest.raises(NullValue):
            decode_text(None)

    def test_empty(self) -> None:
        """An empty value is text, not a tombstone."""
        assert decode_text(b"") == ""

    @pytest.mark.parametrize("value", [b"a\xff", b"a\xed\xa0\x80", b"a\xc3"])
    def test_not_utf8(self, value: bytes) -> None:
        """Wrong bytes, encoded surrogates and half characters are refused, with their place."""
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
        """A number that nothing here can hold is JSON all the same."""
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
        """Any other JSON value is refused, by the name of its type."""
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
        """What other parsers let pass is refused too."""
        with pytest.raises(InvalidJson):
            decode_fields(text)

    @pytest.mark.parametrize("text", [r'{"a": "\ud800"}', r'{"a": "\udc00x"}', r'{"\ud800": 1}'])
    def test_lone_surrogates(self, text: str) -> None:
        """An escaped half of a surrogate pair, which no UTF-8 can carry, is refused."""
        with pytest.raises(InvalidJson):
            decode_fields(text)

    def test_nested_too_deeply(self) -> None:
        """Nesting beyond the parser's depth is an error of the message."""
        with pytest.raises(InvalidJson):
            decode_fields('{"a":' + "[" * 100_000)

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Any text gives fields or that one error."""
        with contextlib.suppress(InvalidJson):
            assert isinstance(decode_fields(text), dict)


class Text(str):
    __slots__ = ()


class TestCompact:
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
        """White space between tokens goes, all else stays as it is."""
        assert compact(output) == expected

    @pytest.mark.parametrize(
        "output", ["", "ham", "1 2", "NaN", "[1,]", '"\n"', '"\ud800"', "[" * 99_999]
    )
    def test_not_json(self, output: str) -> None:
        """Text that is not one JSON value is refused."""
        with pytest.raises(InvalidOutput):
            compact(output)

    @pytest.mark.parametrize("output", [None, b"[]", [], 1, {"a": 1}])
    def test_not_text(self, output: Any) -> None:  # noqa: ANN401 - what a model may return
        """Any other type is refused by its name."""
        with pytest.raises(InvalidOutput, match=f"it is {type(output).__name__}, not text"):
            compact(output)

    def test_shown(self) -> None:
        """The error says what is wrong, and shows how the output begins, on one line."""
        with pytest.raises(InvalidOutput) as caught:
            compact("{'a': 1,\n" + "x" * 999)
        assert str(caught.value) == (
            "the model's output is not a JSON value: there are single quotes instead of double "
            "quotes at line 1, column 2; it begins with " + repr("{'a': 1,\n" + "x" * 191)
        )

    def test_byte_order_mark(self) -> None:
        """One before the output is taken away."""
        assert compact("\ufeff[1, 2]") == "[1,2]"

    @pytest.mark.parametrize("kind", [Text, np.str_])
    def test_kinds_of_text(self, kind: type[str]) -> None:
        """What a library makes of text is text."""
        assert compact(kind("[1, 2]")) == "[1,2]"

    @given(st.text())
    @example('{"a": "\x00"}')
    def test_one_line(self, output: str) -> None:
        """Whatever passes is JSON for other parsers too, and holds no line break."""
        try:
            text = compact(output)
        except InvalidOutput:
            return
        json.loads(text)
        assert "\n" not in text


class TestEncodeResult:
    """A result is the envelope around the model's output."""

    def encode(self, start: float, end: float, output: str = "[1, 2]") -> bytes:
        """Encode with everything but times and output fixed."""
        return encode_result(ECHOED, "ner", output, "m:1", (start, end))

    def test_fields(self) -> None:
        """All fields are there, echoed ones first, in one order, without white space."""
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
        """Times are UTC, ISO 8601, always with three digits of milliseconds."""
        assert json.loads(self.encode(seconds, seconds))["ts_start"] == expected

    def test_clock_set_back(self) -> None:
        """A clock that was set back gives no negative time."""
        assert json.loads(self.encode(10.0, 9.0))["process_time"] == 0.0

    def test_wrong_output(self) -> None:
        """An output that is no JSON spoils no envelope."""
        with pytest.raises(InvalidOutput):
            self.encode(0, 0, '1, "model": 2')


class TestEncodeHeaders:
    """The added headers say where an outcome is from."""

    MESSAGE = Message(
        b"v", headers=(("a", b"1"), ("tidemill.model", b"old"), ("a", None)),
        topic="t", partition=0, offset=0, timestamp=1700000000123,
    )  # fmt: skip

    def test_prediction(self) -> None:
        """Incoming headers come first and unchanged, repeated names and nulls too."""
        assert encode_headers(self.MESSAGE, Prediction(b"{}", "m:1")) == [
            ("a", b"1"),
            ("tidemill.model", b"old"),
            ("a", None),
            ("tidemill.source.topic", b"t"),
            ("tidemill.source.partition", b"0"),
            ("tidemill.source.offset", b"0"),
            ("tidemill.source.timestamp", b"1700000000123"),
            ("tidemill.model", b"m:1"),
        ]

    def test_failure(self) -> None:
        """A dead letter's headers end with the error's class and message."""
        headers = encode_headers(self.MESSAGE, Failure(NullValue(), "m:1"))
        assert headers[-2:] == [
            ("tidemill.error.class", b"NullValue"),
            ("tidemill.error.message", b"the record's value is null"),
        ]

    def test_unknown_parts(self) -> None:
        """What a source or a failure does not know is left out."""
        headers = encode_headers(Message(b"v", topic="file"), Failure(NullValue()))
        assert [name for name, _ in headers] == [
            "tidemill.source.topic",
            "tidemill.error.class",
            "tidemill.error.message",
        ]

    @given(st.text(), st.integers(0, 4))
    @example("🌊" * 600, 0)
    @example("\ud800" * 2000, 0)
    def test_clipped(self, text: str, repeat: int) -> None:
        """An error's message is valid UTF-8 of at most 1 KiB and never ends in half a character."""
        said = "x" * repeat + text * 40
        *_, (_, value) = encode_headers(Message(None), Failure(PredictionFailed(ValueError(said))))
        assert value is not None
        assert len(value) <= MAX_ERROR_BYTES == 1024
        said = " ".join(said.split())
        whole = f"ValueError: {said}" if said else "ValueError"
        assert whole.encode(errors="replace").decode().startswith(value.decode())

    def test_one_line(self) -> None:
        """An error of several lines is told on one."""
        failure = Failure(PredictionFailed(ValueError("a\n  b\r\nc")))
        *_, (_, value) = encode_headers(Message(None), failure)
        assert value == b"ValueError: a b c"

    def test_clipped_as_late_as_possible(self) -> None:
        """As much of the message is kept as fits."""
        failure = Failure(PredictionFailed(ValueError("🌊" * 600)))
        *_, (_, value) = encode_headers(Message(None), failure)
        assert len(value or b"") == 1024


class TestEncodeOmission:
    """A dead letter that no topic takes is only where it is from, and why it failed."""

    def test_headers(self) -> None:
        """Tidemill's own headers are left, and one that says what is left out."""
        message = Message(
            b"v" * 10, key=b"k" * 5, headers=(("a", b"1"), ("tidemill.model", b"old")),
            topic="t", partition=0, offset=7, timestamp=1700000000123,
        )  # fmt: skip
        size = record_size(message.key, message.value, list(message.headers))
        assert encode_omission(message, Failure(NullValue(), "m:1")) == [
            ("tidemill.source.topic", b"t"),
            ("tidemill.source.partition", b"0"),
            ("tidemill.source.offset", b"7"),
            ("tidemill.source.timestamp", b"1700000000123"),
            ("tidemill.model", b"m:1"),
            ("tidemill.error.class", b"NullValue"),
            ("tidemill.error.message", b"the record's value is null"),
            ("tidemill.error.omitted", f"key, value and headers: {size} bytes".encode()),
        ]

    @given(st.text(max_size=5000), HEADERS)
    def test_small(self, said: str, headers: list[tuple[str, bytes | None]]) -> None:
        """Whatever the message and the error, it is far below any topic's limit."""
        message = Message(b"v", headers=tuple(headers), topic="t" * 249, offset=2**63 - 1)
        failure = Failure(PredictionFailed(ValueError(said)), f"{'n' * 128}:{'v' * 128}")
        assert record_size(None, None, encode_omission(message, failure)) < 4096


def varint(number: int) -> int:
    """Return the bytes of a zigzag variable-length integer."""
    zigzag = (number << 1) ^ (number >> 31)
    return max(1, -(-zigzag.bit_length() // 7))


def sized(part: bytes | None) -> int:
    """Return the bytes of a part with its length before it: -1 for none."""
    return varint(-1) if part is None else varint(len(part)) + len(part)


def kafka_bytes(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> int:
    """Return the bytes of a batch of one record in Kafka's format, version 2.

    https://kafka.apache.org/documentation/#recordbatch
    """
    body = 1 + varint(0) + varint(0) + sized(key) + sized(value) + varint(len(headers))
    body += sum(sized(name.encode()) + sized(content) for name, content in headers)
    return 61 + varint(body) + body


class TestRecordSize:
    """The size that results are held to is never less than Kafka's own."""

    @given(st.none() | st.binary(max_size=9000), st.none() | st.binary(max_size=9000), HEADERS)
    def test_enough(
        self, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
    ) -> None:
        """It covers what the record format takes, with little to spare."""
        size = record_size(key, value, headers)
        least = kafka_bytes(key, value, headers)
        assert least <= size <= least + 26 + 5 * (2 + 2 * len(headers))

    def test_as_kafka_counts(self) -> None:
        """It is the sum that Kafka's producer compares with max.request.size."""
        assert (
            record_size(b"k", b"vv", [("é", None)]) == 61 + 21 + 5 + (5 + 1) + (5 + 2) + (5 + 2) + 5
        )
