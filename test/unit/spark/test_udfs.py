from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from arrow_batches import record_batch
from example_models import Echo

from tidemill.errors import InvalidModels
from tidemill.inference.engine import local_engine
from tidemill.inference.predictor import Predictor
from tidemill.inference.route import single_routes
from tidemill.kafka.record_size import ANY_RECORD, TopicLimits, record_size_upper_bound
from tidemill.spark.schemas import NER_RESULT, OUTCOME
from tidemill.spark.udfs import predict_batch, predictions

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.inference.model import ModelSpec


@pytest.fixture
def predictor(make_spec: Callable[..., ModelSpec]) -> Predictor:
    """A predictor with one model, for text of any language."""
    spec = make_spec(payload="text")
    return Predictor(single_routes([spec]), local_engine(lambda _: Echo(), clock=lambda: 0.0))


def good(text: str) -> bytes:
    """Return the value of a valid message."""
    return json.dumps({"uuid": "u", "text": text}).encode()


class TestPredictBatch:
    """Each row becomes one row, a result or a dead letter."""

    def test_result(self, predictor: Predictor) -> None:
        """A result keeps the key and the headers, and goes to the topic of results."""
        row = {"value": good("a"), "key": b"k", "headers": [{"key": "h", "value": None}]}
        ((outcome,),) = predict_batch(predictor, record_batch({**row, "offset": 7}), "out", "dead")
        assert (outcome["topic"], outcome["key"]) == ("out", b"k")
        assert json.loads(outcome["value"])["out"] == "a"
        assert outcome["headers"] == [
            {"key": "h", "value": None},
            {"key": "tidemill.source.offset", "value": b"7"},
            {"key": "tidemill.model", "value": b"m:1"},
        ]

    @pytest.mark.parametrize("value", [None, b"", b"\xff\x00", b"{}"])
    def test_dead_letter(self, predictor: Predictor, value: bytes | None) -> None:
        """A dead letter is the record, byte for byte, with headers that name the error."""
        row = {"value": value, "key": None, "headers": [{"key": "h", "value": b"\xff"}]}
        ((outcome,),) = predict_batch(predictor, record_batch(row), "out", "dead")
        assert (outcome["topic"], outcome["key"], outcome["value"]) == ("dead", None, value)
        assert outcome["headers"][0] == {"key": "h", "value": b"\xff"}
        names = [header["key"] for header in outcome["headers"]]
        assert names[-2:] == ["tidemill.error.class", "tidemill.error.message"]

    def test_null_name(self, predictor: Predictor) -> None:
        """A header without a name gets an empty one, which the sink accepts."""
        rows = record_batch(*({"value": v, "headers": [{"key": None}]} for v in (good("a"), b"")))
        for (outcome,) in predict_batch(predictor, rows, "out", "dead"):
            assert outcome["headers"][0] == {"key": "", "value": None}

    def test_order(self, predictor: Predictor) -> None:
        """Results and dead letters keep the order of their rows."""
        rows = [{"value": b"bad" if n % 3 else good(str(n)), "key": b"%d" % n} for n in range(50)]
        outcomes = [row for (row,) in predict_batch(predictor, record_batch(*rows), "out", "dead")]
        assert [outcome["key"] for outcome in outcomes] == [row["key"] for row in rows]
        assert [o["topic"] for o in outcomes] == ["dead" if n % 3 else "out" for n in range(50)]

    def test_schema(self, predictor: Predictor) -> None:
        """Rows have the columns of an outcome, and an empty batch has no rows."""
        for rows in (record_batch(), record_batch({"value": good("a")}), record_batch({})):
            outcomes = predict_batch(predictor, rows, "out", "dead")
            assert len(outcomes) == rows.num_rows
            assert all(list(outcome) == OUTCOME.names for (outcome,) in outcomes)


class TestTooLarge:
    """A dead letter over its topic's limit keeps the headers that locate its message."""

    NAMES = (
        "tidemill.source.topic",
        "tidemill.source.offset",
        "tidemill.error.class",
        "tidemill.error.message",
        "tidemill.error.omitted",
    )

    def outcome(self, predictor: Predictor, compression: str | None, **row: Any) -> dict[str, Any]:  # noqa: ANN401
        """Process one row, with a limit of 1000 bytes for dead letters."""
        limits = TopicLimits(1000, ((compression, None),)) if compression else ANY_RECORD
        rows = record_batch({"topic": "t", "offset": 7, **row})
        ((outcome,),) = predict_batch(predictor, rows, "out", "dead", {"dead": limits})
        typed: dict[str, Any] = outcome
        return typed

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
        """Whichever part is too large, the key, value and incoming headers are omitted."""
        outcome = self.outcome(predictor, "none", **row)
        assert (outcome["topic"], outcome["key"], outcome["value"]) == ("dead", None, None)
        assert tuple(header["key"] for header in outcome["headers"]) == self.NAMES

    @pytest.mark.parametrize("compression", ["gzip", "zstd", "lz4", "snappy"])
    def test_compressed(self, predictor: Predictor, compression: str) -> None:
        """A record that fits when it is compressed is kept whole."""
        outcome = self.outcome(predictor, compression, value=b"\xff" * 5000, key=b"k")
        assert (outcome["key"], outcome["value"]) == (b"k", b"\xff" * 5000)
        assert "tidemill.error.omitted" not in {header["key"] for header in outcome["headers"]}

    def test_files(self, predictor: Predictor) -> None:
        """Without a limit, as for files, a record of any size is kept whole."""
        assert self.outcome(predictor, None, value=b"\xff" * 5000)["value"] == b"\xff" * 5000
        ((outcome,),) = predict_batch(predictor, record_batch({"value": b"\xff" * 5000}), "o", "d")
        assert outcome["value"] == b"\xff" * 5000

    def test_limit(self, predictor: Predictor) -> None:
        """A record of exactly the limit, added headers included, fits; one more byte does not."""
        small = self.outcome(predictor, "none", value=b"\xff")
        headers = [(header["key"], header["value"]) for header in small["headers"]]
        capacity = 1000 - record_size_upper_bound(None, b"\xff", headers)
        largest, larger = (
            self.outcome(predictor, "none", value=b"\xff", key=b"k" * size)
            for size in (capacity, capacity + 1)
        )
        assert largest["key"] == b"k" * capacity
        assert larger["key"] is None

    def test_other_rows(self, predictor: Predictor) -> None:
        """Other rows of the batch are kept whole."""
        rows = [{"value": good("a")}, {"value": b"\xff" * 1000}, {"value": b"bad"}]
        limits = TopicLimits(1000, (("none", None),))
        outcomes = predict_batch(predictor, record_batch(*rows), "out", "dead", {"dead": limits})
        assert [outcome["topic"] for (outcome,) in outcomes] == ["out", "dead", "dead"]
        assert [outcome["value"] is None for (outcome,) in outcomes] == [False, True, False]


class TestRefusedResult:
    """A result over its topic's limits becomes a dead letter."""

    MESSAGE: ClassVar = {
        "value": good("a" * 300), "key": b"k", "headers": [{"key": "h", "value": b"x" * 100}],
        "topic": "t", "offset": 7,
    }  # fmt: skip

    def outcome(
        self,
        predictor: Predictor,
        limits: TopicLimits,
        **changes: Any,  # noqa: ANN401
    ) -> dict[str, Any]:
        """Process one message under limits of the output topic."""
        rows = record_batch({**self.MESSAGE, **changes})
        ((outcome,),) = predict_batch(predictor, rows, "out", "dead", {"out": limits})
        typed: dict[str, Any] = outcome
        return typed

    def test_limit(self, predictor: Predictor) -> None:
        """A record of exactly the limit, key and headers included, fits; a larger one does not."""
        result = self.outcome(predictor, ANY_RECORD)
        headers = [(header["key"], header["value"]) for header in result["headers"]]
        size = record_size_upper_bound(b"k", result["value"], headers)
        codecs = (("none", None),)
        assert self.outcome(predictor, TopicLimits(size, codecs)) == result
        refused = self.outcome(predictor, TopicLimits(size - 1, codecs))
        assert (refused["topic"], refused["value"]) == ("dead", self.MESSAGE["value"])
        assert (refused["model"], refused["error"]) == ("m:1", "ResultTooLarge")

    def test_compressed(self, predictor: Predictor) -> None:
        """A result that fits when it is compressed is accepted."""
        limits = TopicLimits(2000, (("gzip", None),))
        row = self.outcome(predictor, limits, value=good("a" * 9000))
        assert (row["topic"], row["error"]) == ("out", None)

    def test_without_a_key(self, predictor: Predictor) -> None:
        """A compacted topic refuses a result without a key; its dead letter has no key either."""
        limits = TopicLimits(needs_key=True)
        row = self.outcome(predictor, limits, key=None)
        assert (row["topic"], row["key"], row["error"]) == ("dead", None, "KeyRequired")
        assert row["value"] == self.MESSAGE["value"]
        for key in (b"", b"k"):
            assert self.outcome(predictor, limits, key=key)["topic"] == "out"

    def test_both_refused(self, predictor: Predictor) -> None:
        """A dead letter that does not fit either has no key and no value."""
        small = TopicLimits(100, (("none", None),))
        rows = record_batch(self.MESSAGE)
        ((row,),) = predict_batch(predictor, rows, "out", "dead", {"out": small, "dead": small})
        assert (row["topic"], row["key"], row["value"]) == ("dead", None, None)
        assert row["error"] == "ResultTooLarge"
        assert row["headers"][-1]["key"] == "tidemill.error.omitted"


class TestPredictions:
    """The driver validates the transform."""

    def test_duplicates(self, make_spec: Callable[..., ModelSpec]) -> None:
        """Two entries for the same messages are refused on the driver."""
        with pytest.raises(InvalidModels):
            predictions(single_routes([make_spec()] * 2), results="r", dead_letters="d")


class TestSchemas:
    """The published schemas match the rows."""

    def test_ner_result(self, make_spec: Callable[..., ModelSpec]) -> None:
        """The shipped models' results have exactly these fields, in this order."""
        spec = make_spec(match={"lang": "en"}, payload="text", result="ner")
        predictor = Predictor(
            single_routes([spec]), local_engine(lambda _: Echo(), clock=lambda: 0.0)
        )
        value = json.dumps({"uuid": "u", "text": "a", "lang": "en"}).encode()
        ((row,),) = predict_batch(predictor, record_batch({"value": value}), "out", "dead")
        assert list(json.loads(row["value"])) == NER_RESULT.names


class TestMetadata:
    """A row has metadata for metrics."""

    def test_columns(self, predictor: Predictor) -> None:
        """The metadata is the model, the error class and the seconds since the timestamp."""
        sent = datetime(2026, 1, 5, 10, 0, 0, 500_000, tzinfo=UTC)
        rows: list[dict[str, Any]] = [{"value": good("a"), "timestamp": sent}, {"value": None}]
        (result,), (dead,) = predict_batch(
            predictor, record_batch(*rows), "good", "bad", clock=lambda: sent.timestamp() + 1.25
        )
        assert (result["model"], result["error"], result["latency"]) == ("m:1", None, 1.25)
        assert (dead["model"], dead["error"], dead["latency"]) == (None, "NullValue", None)

    def test_clocks_disagree(self, predictor: Predictor) -> None:
        """The latency of a record from the future is 0."""
        sent = datetime(2026, 1, 5, tzinfo=UTC)
        row = {"value": good("a"), "timestamp": sent}
        ((result,),) = predict_batch(predictor, record_batch(row), "good", "bad", clock=lambda: 0.0)
        assert result["latency"] == 0
