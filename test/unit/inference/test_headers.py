from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from tidemill.errors import NullValue, PredictionFailed
from tidemill.inference.headers import MAX_BYTES, added_headers, encode_headers
from tidemill.inference.message import Failure, Message, Prediction
from tidemill.kafka.record_size import record_size_upper_bound


class TestEncodeHeaders:
    """The added headers name the source and the outcome."""

    MESSAGE = Message(
        b"v", headers=(("a", b"1"), ("tidemill.model", b"old"), ("a", None)),
        topic="t", partition=0, offset=0, timestamp=1700000000123,
    )  # fmt: skip

    def test_prediction(self) -> None:
        """Incoming headers come first and unchanged, including repeated names and nulls."""
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
        """Unknown values have no header."""
        headers = encode_headers(Message(b"v", topic="file"), Failure(NullValue()))
        assert [name for name, _ in headers] == [
            "tidemill.source.topic",
            "tidemill.error.class",
            "tidemill.error.message",
        ]

    @given(st.text(), st.integers(0, 4))
    @example("🌊" * 600, 0)
    @example("\ud800" * 2000, 0)
    def test_truncated(self, text: str, repeat: int) -> None:
        """An error's message is valid UTF-8, at most 1 KiB, and does not end within a character."""
        reason = "x" * repeat + text * 40
        *_, (_, value) = encode_headers(
            Message(None), Failure(PredictionFailed(ValueError(reason)))
        )
        assert value is not None
        assert len(value) <= MAX_BYTES == 1024
        reason = " ".join(reason.split())
        whole = f"ValueError: {reason}" if reason else "ValueError"
        assert whole.encode(errors="replace").decode().startswith(value.decode())

    def test_one_line(self) -> None:
        """An error of several lines becomes one line."""
        failure = Failure(PredictionFailed(ValueError("a\n  b\r\nc")))
        *_, (_, value) = encode_headers(Message(None), failure)
        assert value == b"ValueError: a b c"

    def test_truncated_as_late_as_possible(self) -> None:
        """The message is cut at the limit, not before."""
        failure = Failure(PredictionFailed(ValueError("🌊" * 600)))
        *_, (_, value) = encode_headers(Message(None), failure)
        assert len(value or b"") == 1024


class TestAddedHeaders:
    """Tidemill's headers always fit into a record, so that every message can be located."""

    @given(st.text(max_size=5000))
    def test_small(self, reason: str) -> None:
        """Their size is far below any topic's limit, whatever the message and the error."""
        message = Message(b"v", headers=(("a", b"x" * 9999),), topic="t" * 249, offset=2**63 - 1)
        failure = Failure(PredictionFailed(ValueError(reason)), f"{'n' * 128}:{'v' * 128}")
        assert record_size_upper_bound(None, None, added_headers(message, failure)) < 4000
