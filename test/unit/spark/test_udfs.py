from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
import pytest
from example_models import Echo
from pyspark.sql.pandas.types import to_arrow_schema

from tidemill.errors import InvalidModels
from tidemill.inference.codec import record_size
from tidemill.inference.message import Message
from tidemill.inference.predictor import Predictor
from tidemill.kafka.record_size import ANY_RECORD, TopicLimits
from tidemill.spark.schemas import NER_RESULT, OUTCOME, RECORD
from tidemill.spark.udfs import answer, latency, predictions, read_messages

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.inference.model import ModelSpec

ARROW_RECORD = to_arrow_schema(RECORD, timezone="UTC")


@pytest.fixture
def predictor(make_spec: Callable[..., ModelSpec]) -> Predictor:
    """A predictor over one model that answers text of any language."""
    spec = make_spec(payload="text")
    return Predictor([spec], lambda _: Echo(), clock=lambda: 0.0)


def batch(*rows: dict[str, Any]) -> pa.RecordBatch:
    """Return rows as Spark hands them to a worker; what a row lacks is null."""
    full = [{**dict.fromkeys(RECORD.names), **row} for row in rows]
    return pa.RecordBatch.from_pylist(full, schema=ARROW_RECORD)


def good(text: str) -> bytes:
    """Return a value that is answered."""
    return json.dumps({"uuid": "u", "text": text}).encode()


class TestReadMessages:
    """Rows become messages, as Kafka held them."""

    def test_whole(self) -> None:
        """Every part is read; the time is Kafka's, in milliseconds."""
        (message,) = read_messages(
            batch(
                {
                    "key": b"k\xff",
                    "value": b"v\x00",
                    "topic": "t",
                    "partition": 3,
                    "offset": 2**40,
                    "timestamp": datetime(2026, 1, 5, 10, 0, 0, 123_000, tzinfo=UTC),
                    "headers": [
                        {"key": "a", "value": b"1"},
                        {"key": "a", "value": None},
                        {"key": "", "value": b""},
                    ],
                }
            )
        )
        assert message == Message(
            value=b"v\x00",
            key=b"k\xff",
            headers=(("a", b"1"), ("a", None), ("", b"")),
            topic="t",
            partition=3,
            offset=2**40,
            timestamp=1767607200123,
        )

    def test_nothing_known(self) -> None:
        """Nulls stay unknown; no headers are an empty list of them."""
        assert list(read_messages(batch({}))) == [Message(None)]

    @pytest.mark.parametrize("milliseconds", [0, -1, 1, 253402300799999])
    def test_times(self, milliseconds: int) -> None:
        """Any time of Kafka's comes back as it was, those before 1970 too."""
        rows = batch({"value": b""})
        times = pa.array([milliseconds * 1000], pa.int64()).cast(
            ARROW_RECORD.field("timestamp").type
        )
        columns = [times if n == "timestamp" else rows.column(n) for n in RECORD.names]
        (message,) = read_messages(pa.RecordBatch.from_arrays(columns, schema=ARROW_RECORD))
        assert message.timestamp == milliseconds

    def test_null_name(self) -> None:
        """A header without a name, which Kafka cannot have, gets an empty one."""
        (message,) = read_messages(batch({"headers": [{"key": None, "value": b"1"}]}))
        assert message.headers == (("", b"1"),)

    def test_order(self) -> None:
        """Rows keep their order."""
        rows = [{"value": str(number).encode()} for number in range(100)]
        assert [m.value for m in read_messages(batch(*rows))] == [row["value"] for row in rows]

    def test_empty(self) -> None:
        """No rows, no messages."""
        assert list(read_messages(batch())) == []


class TestAnswer:
    """Each row becomes one row, for the results or for the dead letters."""

    def test_result(self, predictor: Predictor) -> None:
        """A result keeps the key and the headers, and is sent to the results."""
        row = {"value": good("a"), "key": b"k", "headers": [{"key": "h", "value": None}]}
        (outcome,) = answer(predictor, batch({**row, "offset": 7}), "out", "dead")
        assert (outcome["topic"], outcome["key"]) == ("out", b"k")
        assert json.loads(outcome["value"])["out"] == "a"
        assert outcome["headers"] == [
            {"key": "h", "value": None},
            {"key": "tidemill.source.offset", "value": b"7"},
            {"key": "tidemill.model", "value": b"m:1"},
        ]

    @pytest.mark.parametrize("value", [None, b"", b"\xff\x00", b"{}"])
    def test_dead_letter(self, predictor: Predictor, value: bytes | None) -> None:
        """A dead letter is the record, byte for byte, with headers that say why."""
        row = {"value": value, "key": None, "headers": [{"key": "h", "value": b"\xff"}]}
        (outcome,) = answer(predictor, batch(row), "out", "dead")
        assert (outcome["topic"], outcome["key"], outcome["value"]) == ("dead", None, value)
        assert outcome["headers"][0] == {"key": "h", "value": b"\xff"}
        names = [header["key"] for header in outcome["headers"]]
        assert names[-2:] == ["tidemill.error.class", "tidemill.error.message"]

    def test_null_name(self, predictor: Predictor) -> None:
        """A header without a name passes with an empty one, which the sink takes."""
        rows = batch(*({"value": v, "headers": [{"key": None}]} for v in (good("a"), b"")))
        for outcome in answer(predictor, rows, "out", "dead"):
            assert outcome["headers"][0] == {"key": "", "value": None}

    def test_order(self, predictor: Predictor) -> None:
        """Rows keep their order, good and bad mixed."""
        rows = [{"value": b"bad" if n % 3 else good(str(n)), "key": b"%d" % n} for n in range(50)]
        outcomes = answer(predictor, batch(*rows), "out", "dead")
        assert [outcome["key"] for outcome in outcomes] == [row["key"] for row in rows]
        assert [o["topic"] for o in outcomes] == ["dead" if n % 3 else "out" for n in range(50)]

    def test_schema(self, predictor: Predictor) -> None:
        """Rows are as Spark's sink takes them, none of them too."""
        for rows in (batch(), batch({"value": good("a")}), batch({})):
            outcomes = answer(predictor, rows, "out", "dead")
            assert len(outcomes) == rows.num_rows
            assert all(list(outcome) == OUTCOME.names for outcome in outcomes)


class TestTooLarge:
    """A dead letter that the sink does not take keeps what leads to its message."""

    NAMES = (
        "tidemill.source.topic",
        "tidemill.source.offset",
        "tidemill.error.class",
        "tidemill.error.message",
        "tidemill.error.omitted",
    )

    def outcome(self, predictor: Predictor, compression: str | None, **row: Any) -> dict[str, Any]:  # noqa: ANN401
        """Answer one row, with 1000 bytes as the limit."""
        limits = TopicLimits(1000, ((compression, None),)) if compression else ANY_RECORD
        rows = batch({"topic": "t", "offset": 7, **row})
        (outcome,) = answer(predictor, rows, "out", "dead", {"dead": limits})
        found: dict[str, Any] = outcome
        return found

    @pytest.mark.parametrize(
        "row",
        [
            {"value": b"\xff" * 1000},
            {"value": b"bad", "key": b"k" * 1000},
            {"value": b"bad", "headers": [{"key": "h", "value": b"x" * 1000}]},
            {"value": b"bad", "headers": [{"key": "h" * 1000, "value": None}]},
            {"value": None, "headers": [{"key": "", "value": None}] * 100},
        ],
    )
    def test_left_out(self, predictor: Predictor, row: dict[str, Any]) -> None:
        """Whichever part is too large, key, value and incoming headers stay at the source."""
        outcome = self.outcome(predictor, "none", **row)
        assert (outcome["topic"], outcome["key"], outcome["value"]) == ("dead", None, None)
        assert tuple(header["key"] for header in outcome["headers"]) == self.NAMES

    @pytest.mark.parametrize("compression", ["gzip", "zstd", "lz4", "snappy"])
    def test_compressed(self, predictor: Predictor, compression: str) -> None:
        """What is small enough when compressed passes byte for byte."""
        outcome = self.outcome(predictor, compression, value=b"\xff" * 5000, key=b"k")
        assert (outcome["key"], outcome["value"]) == (b"k", b"\xff" * 5000)
        assert "tidemill.error.omitted" not in {header["key"] for header in outcome["headers"]}

    def test_files(self, predictor: Predictor) -> None:
        """Files take any size."""
        assert self.outcome(predictor, None, value=b"\xff" * 5000)["value"] == b"\xff" * 5000
        (outcome,) = answer(predictor, batch({"value": b"\xff" * 5000}), "o", "d")
        assert outcome["value"] == b"\xff" * 5000

    def test_limit(self, predictor: Predictor) -> None:
        """A record of just the limit passes; a byte more does not. The added headers count."""
        small = self.outcome(predictor, "none", value=b"\xff")
        headers = [(header["key"], header["value"]) for header in small["headers"]]
        room = 1000 - record_size(None, b"\xff", headers)
        passed = self.outcome(predictor, "none", value=b"\xff", key=b"k" * room)
        assert passed["key"] == b"k" * room
        assert self.outcome(predictor, "none", value=b"\xff", key=b"k" * (room + 1))["key"] is None

    def test_company(self, predictor: Predictor) -> None:
        """Rows beside it are whole."""
        rows = [{"value": good("a")}, {"value": b"\xff" * 1000}, {"value": b"bad"}]
        limits = TopicLimits(1000, (("none", None),))
        outcomes = answer(predictor, batch(*rows), "out", "dead", {"dead": limits})
        assert [outcome["topic"] for outcome in outcomes] == ["out", "dead", "dead"]
        assert [outcome["value"] is None for outcome in outcomes] == [False, True, False]


class TestRefusedResult:
    """A result that its topic refuses is a dead letter, by the same rule."""

    MESSAGE: ClassVar = {
        "value": good("a" * 300), "key": b"k", "headers": [{"key": "h", "value": b"x" * 100}],
        "topic": "t", "offset": 7,
    }  # fmt: skip

    def answered(
        self,
        predictor: Predictor,
        limits: TopicLimits,
        **changes: Any,  # noqa: ANN401
    ) -> dict[str, Any]:
        """Answer one message under the output topic's limits."""
        rows = batch({**self.MESSAGE, **changes})
        (outcome,) = answer(predictor, rows, "out", "dead", {"out": limits})
        found: dict[str, Any] = outcome
        return found

    def test_limit(self, predictor: Predictor) -> None:
        """A record of just the limit, key and headers counted, passes; a byte less does not."""
        result = self.answered(predictor, ANY_RECORD)
        headers = [(header["key"], header["value"]) for header in result["headers"]]
        size = record_size(b"k", result["value"], headers)
        codecs = (("none", None),)
        assert self.answered(predictor, TopicLimits(size, codecs)) == result
        refused = self.answered(predictor, TopicLimits(size - 1, codecs))
        assert (refused["topic"], refused["value"]) == ("dead", self.MESSAGE["value"])
        assert (refused["model"], refused["error"]) == ("m:1", "ResultTooLarge")

    def test_compressed(self, predictor: Predictor) -> None:
        """What compression brings below the limit passes."""
        limits = TopicLimits(2000, (("gzip", None),))
        row = self.answered(predictor, limits, value=good("a" * 9000))
        assert (row["topic"], row["error"]) == ("out", None)

    def test_without_a_key(self, predictor: Predictor) -> None:
        """A compacted topic takes no result without a key; the dead letter has none either."""
        limits = TopicLimits(needs_key=True)
        row = self.answered(predictor, limits, key=None)
        assert (row["topic"], row["key"], row["error"]) == ("dead", None, "KeyRequired")
        assert row["value"] == self.MESSAGE["value"]
        for key in (b"", b"k"):
            assert self.answered(predictor, limits, key=key)["topic"] == "out"

    def test_both_refused(self, predictor: Predictor) -> None:
        """Where the dead letter does not fit either, it has no body."""
        small = TopicLimits(100, (("none", None),))
        rows = batch(self.MESSAGE)
        (row,) = answer(predictor, rows, "out", "dead", {"out": small, "dead": small})
        assert (row["topic"], row["key"], row["value"]) == ("dead", None, None)
        assert row["error"] == "ResultTooLarge"
        assert row["headers"][-1]["key"] == "tidemill.error.omitted"


class TestPredictions:
    """The transform is made on the driver."""

    def test_duplicates(self, make_spec: Callable[..., ModelSpec]) -> None:
        """Entries that no worker would take are refused there."""
        with pytest.raises(InvalidModels):
            predictions([make_spec()] * 2, results="r", dead_letters="d")


class TestSchemas:
    """What readers parse results with."""

    def test_ner_result(self, make_spec: Callable[..., ModelSpec]) -> None:
        """The shipped models' results have just these fields, in this order."""
        spec = make_spec(match={"lang": "en"}, payload="text", result="ner")
        predictor = Predictor([spec], lambda _: Echo(), clock=lambda: 0.0)
        value = json.dumps({"uuid": "u", "text": "a", "lang": "en"}).encode()
        (row,) = answer(predictor, batch({"value": value}), "out", "dead")
        assert list(json.loads(row["value"])) == NER_RESULT.names


class TestMeasures:
    """A row tells what it came to, for those who count."""

    def test_columns(self, predictor: Predictor) -> None:
        """The model and the error class, as the headers have them; seconds since the record."""
        sent = datetime(2026, 1, 5, 10, 0, 0, 500_000, tzinfo=UTC)
        rows = [{"value": good("a"), "timestamp": sent}, {"value": None}]
        result, dead = answer(
            predictor, batch(*rows), "good", "bad", clock=lambda: sent.timestamp() + 1.25
        )
        assert (result["model"], result["error"], result["latency"]) == ("m:1", None, 1.25)
        assert (dead["model"], dead["error"], dead["latency"]) == (None, "NullValue", None)

    def test_no_timestamp(self) -> None:
        """Kafka writes -1 where a record has no timestamp: then there is no latency."""
        assert latency(Message(b"", timestamp=-1), 1.0) is None

    def test_clocks_disagree(self, predictor: Predictor) -> None:
        """A record from the future has waited no time."""
        sent = datetime(2026, 1, 5, tzinfo=UTC)
        row = {"value": good("a"), "timestamp": sent}
        (result,) = answer(predictor, batch(row), "good", "bad", clock=lambda: 0.0)
        assert result["latency"] == 0
