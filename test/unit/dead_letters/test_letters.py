from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidemill.dead_letters.letters import (
    AFTER,
    BEFORE,
    TRIES,
    DeadLetter,
    read,
    replayed_headers,
)
from tidemill.errors import MissingField, NullValue, PredictionFailed
from tidemill.inference.headers import (
    ERROR_CLASS,
    added_headers,
    encode_headers,
    omitted_header,
)
from tidemill.inference.message import Assignment, Failure, Header, Message

NAMES = st.sampled_from([*BEFORE, ERROR_CLASS, *AFTER, TRIES]) | st.text(
    st.characters(codec="utf-8"), max_size=6
)
VALUES = st.none() | st.binary(max_size=6) | st.sampled_from([b"1", b"2", b"0"])
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=6).map(tuple)
FAILURES = st.builds(
    Failure,
    st.sampled_from([NullValue(), MissingField("a"), PredictionFailed(ValueError("é" * 2000))]),
    st.none() | st.just("m:1"),
    st.none() | st.builds(Assignment, st.just("candidate"), st.booleans()),
)
MESSAGE = Message(b"v", b"k", (("a", b"1"),), "in", 3, 7, 1_700_000_000_123)


def dead(message: Message, failure: Failure) -> DeadLetter:
    """Return the dead letter of a message, read from 1/42."""
    headers = tuple(encode_headers(message, failure))
    letter = read(
        replace(message, headers=headers, topic="dlq", partition=1, offset=42, timestamp=9)
    )
    assert letter is not None
    return letter


def counts(headers: tuple[Header, ...]) -> list[bytes | None]:
    """Return the values of all headers that count tries."""
    return [value for name, value in headers if name == TRIES]


class TestRead:
    """Reading separates the message from the headers that the job added."""

    def test_fields(self) -> None:
        """A letter has the error, the source and the original message."""
        assert dead(MESSAGE, Failure(NullValue(), "m:1")) == DeadLetter(
            partition=1,
            offset=42,
            timestamp=9,
            key=b"k",
            value=b"v",
            headers=(("a", b"1"),),
            error="NullValue",
            message="the record's value is null",
            source_topic="in",
            source_partition=3,
            source_offset=7,
            source_timestamp=1_700_000_000_123,
            model="m:1",
        )

    def test_omitted(self) -> None:
        """A letter without its message is marked."""
        headers = (*added_headers(MESSAGE, Failure(NullValue())), omitted_header(99))
        letter = read(Message(None, headers=headers))
        assert letter is not None
        assert letter.omitted == "key, value and headers: 99 bytes"
        assert (letter.source_topic, letter.headers) == ("in", ())

    @pytest.mark.parametrize("headers", [(), (("a", b"1"),), ((ERROR_CLASS, None),)])
    def test_no_dead_letter(self, headers: tuple[Header, ...]) -> None:
        """A record without an error class is not a dead letter."""
        assert read(Message(b"v", headers=headers)) is None

    def test_headers_of_others_behind(self) -> None:
        """Headers that tracing adds after the job's count as incoming."""
        added = encode_headers(MESSAGE, Failure(NullValue()))
        letter = read(Message(b"v", headers=(*added, ("traceparent", b"00"))))
        assert letter is not None
        assert letter.headers == (("a", b"1"), ("traceparent", b"00"))
        assert letter.source_partition == 3

    @pytest.mark.parametrize("junk", [b"", b"x", b"-", b"1" * 30, "\u0661".encode(), b"1\n"])
    def test_forged_numbers(self, junk: bytes) -> None:
        """An invalid number counts as unknown."""
        headers = (("tidemill.source.partition", junk), (ERROR_CLASS, b"E"))
        letter = read(Message(b"v", headers=headers))
        assert letter is not None
        assert letter.source_partition is None

    def test_not_utf8(self) -> None:
        """Bytes that are not UTF-8 become escapes."""
        letter = read(Message(b"v", headers=((ERROR_CLASS, b"E\xff"),)))
        assert letter is not None
        assert letter.error == "E\\xff"


class TestRoundTrip:
    """A message survives the way to a dead letter and back."""

    @given(HEADERS, FAILURES)
    @example(((ERROR_CLASS, b"old"), ("tidemill.error.message", b"old")), Failure(NullValue()))
    @example((("tidemill.model", b"old"),), Failure(NullValue()))
    @example((("tidemill.error.omitted", b"old"),), Failure(NullValue(), "m:1"))
    def test_headers(self, headers: tuple[Header, ...], failure: Failure) -> None:
        """Incoming headers come back byte for byte, whatever their names are."""
        letter = dead(replace(MESSAGE, headers=headers), failure)
        assert letter.headers == headers
        assert (letter.error, letter.model) == (failure.error_class, failure.model)
        assert letter.omitted is None

    @given(HEADERS, FAILURES, st.integers(1, 4))
    @example(((TRIES, b"x"),), Failure(NullValue()), 2)
    @example(((TRIES, b"5"), ("a", None)), Failure(NullValue()), 2)
    def test_replays(self, headers: tuple[Header, ...], failure: Failure, times: int) -> None:
        """Each replay increments one header at the end, and changes no other."""
        letter = dead(replace(MESSAGE, headers=headers), failure)
        began, had = letter.tries, len(headers)
        for _ in range(times):
            letter = dead(replace(MESSAGE, headers=tuple(replayed_headers(letter))), failure)
        assert letter.tries == began + times
        assert letter.headers[-1] == (TRIES, str(began + times).encode())
        kept = had - 1 if len(letter.headers) == had else had
        assert letter.headers[:-1] == headers[:kept]
        assert len(letter.headers) == kept + 1

    def test_first(self) -> None:
        """The first replay has the number 1."""
        letter = dead(MESSAGE, Failure(NullValue()))
        assert replayed_headers(letter) == [("a", b"1"), (TRIES, b"1")]

    @pytest.mark.parametrize("junk", [None, b"", b"x", b"-1", b"1" * 5000])
    def test_no_count(self, junk: bytes | None) -> None:
        """A sender's own header of that name is kept unless it is a count."""
        letter = dead(replace(MESSAGE, headers=((TRIES, junk),)), Failure(NullValue()))
        assert letter.tries == 0
        assert counts(tuple(replayed_headers(letter))) == [junk, b"1"]
