from __future__ import annotations

from typing import Any

import pytest

from tidemill.errors import ConfigurationError, PredictionFailed
from tidemill.inference.headers import added_headers
from tidemill.inference.message import Failure, Message
from tidemill.kafka.record_size import record_size_upper_bound
from tidemill.kafka.topics import AFTER, BEFORE, Topic, inputs
from tidemill.settings import KafkaSettings, StreamSettings
from tidemill.streaming.output_topics import MIN_DEAD_LETTER_BYTES
from tidemill.streaming.preflight import ADDED_BYTES, MAX_TIMESTAMP_MS, problems, warnings

INPUT = 1_048_588
NEEDED = INPUT + 65_536
KAFKA = KafkaSettings()
APPEND = "message.timestamp.type=LogAppendTime"
STREAM = StreamSettings(input_topics=("in",), output_topic="out")


def topic(partitions: int = 1, size: int | None = NEEDED, **settings: object) -> Topic:
    """Return a topic with settings (`.` as `_`); without a size its settings are unreadable."""
    known = {name.replace("_", "."): str(value) for name, value in settings.items()}
    return Topic(partitions, {"max.message.bytes": str(size), **known} if size else {})


def topics(**others: Topic | None) -> dict[str, Topic]:
    """Return topics with sufficient limits, replaced by the given ones (`None`: missing)."""
    known = {"in": topic(2, INPUT), "out": topic(), "out.dlq": topic()}
    return {name: topic for name, topic in {**known, **others}.items() if topic is not None}


def pattern(regex: str) -> StreamSettings:
    """Return settings with an input pattern."""
    return StreamSettings(input_pattern=regex, output_topic="out")


def report(
    known: dict[str, Topic], kafka: KafkaSettings = KAFKA, stream: StreamSettings = STREAM
) -> list[str]:
    """Return the problems."""
    return [str(problem) for problem in problems(known, kafka, stream)]


class TestTopics:
    """Every topic that the job reads or writes must exist."""

    def test_none(self) -> None:
        """Suitable topics have no problems."""
        assert report(topics()) == []

    @pytest.mark.parametrize("name", ["in", "out", "out.dlq"])
    def test_missing(self, name: str) -> None:
        """Only the missing topic is reported."""
        (problem,) = report(topics(**{name: None}))
        assert problem.startswith(f"there is no topic {name} ")

    def test_all_missing(self) -> None:
        """All missing topics are reported at once."""
        assert len(report({})) == 3


class TestPattern:
    """Input topics by pattern."""

    def test_matches(self) -> None:
        """The pattern must match the whole name, as in Java's client."""
        known = topics(**{"in-1": topic(3, INPUT), "xin": topic(1, INPUT)})
        assert inputs(known, pattern("in.*")) == ["in", "in-1"]
        assert report(known, stream=pattern("in.*")) == []

    def test_matches_none(self) -> None:
        """A pattern without a matching topic is reported."""
        (problem,) = report(topics(), stream=pattern("none-.*"))
        assert "'none-.*'" in problem

    def test_loop(self) -> None:
        """A pattern that matches an output topic is refused."""
        texts = report(topics(), stream=pattern(".*"))
        assert [text for text in texts if "endless loop" in text] == [
            "stream.input_pattern matches out, which the job writes: an endless loop",
            "stream.input_pattern matches out.dlq, which the job writes: an endless loop",
        ]

    def test_listed_topics_do_not_count(self) -> None:
        """With a pattern the default input topic need not exist."""
        assert report(topics(), stream=pattern("in")) == []

    def test_invalid(self) -> None:
        """An invalid pattern is a configuration error, here or when settings load."""
        with pytest.raises((ConfigurationError, ValueError), match="input_pattern"):
            report(topics(), stream=pattern("in-("))


class TestCommands:
    """The report of a missing topic contains the command that creates it."""

    @pytest.mark.parametrize(
        ("name", "ends"),
        [
            ("in", "--partitions 4"),
            ("out", f"--partitions 2 --config max.message.bytes={NEEDED}"),
            ("out.dlq", f"--partitions 2 --config max.message.bytes={NEEDED}"),
        ],
    )
    def test_configuration(self, name: str, ends: str) -> None:
        """An output topic gets the inputs' partitions and a higher limit than theirs."""
        (problem,) = report(topics(**{name: None}))
        assert problem.endswith(f"--create --topic {name} {ends}")

    def test_largest_input_counts(self) -> None:
        """The largest input topic determines the limit."""
        stream = StreamSettings(input_topics=("in", "big"), output_topic="out")
        known = topics(big=topic(1, 5_000_000), out=None)
        (problem,) = report(known, stream=stream)
        assert problem.endswith(f"--partitions 3 --config max.message.bytes={5_000_000 + 65_536}")

    def test_margin(self) -> None:
        """The margin is 64 KiB."""
        assert ADDED_BYTES == 64 * 1024


class TestDeadLetterTopic:
    """The dead-letter topic must accept and keep a dead letter of every message."""

    @pytest.mark.parametrize("policy", ["compact", "compact,delete", "delete,compact"])
    def test_compacted(self, policy: str) -> None:
        """It must not be compacted: one dead letter would replace another."""
        (problem,) = report(topics(**{"out.dlq": topic(cleanup_policy=policy)}))
        assert problem.startswith("out.dlq is compacted")
        assert problem.endswith("--alter --topic out.dlq --add-config cleanup.policy=delete")

    def test_deleting(self) -> None:
        """It may delete old records."""
        assert report(topics(**{"out.dlq": topic(cleanup_policy="delete")})) == []

    @pytest.mark.parametrize(
        ("size", "segment", "named"),
        [
            (MIN_DEAD_LETTER_BYTES, 2**30, None),
            (MIN_DEAD_LETTER_BYTES - 1, 2**30, "max.message.bytes"),
            (NEEDED, MIN_DEAD_LETTER_BYTES - 1, "segment.bytes"),
        ],
    )
    def test_smallest(self, size: int, segment: int, named: str | None) -> None:
        """It must accept a dead letter without a body."""
        texts = report(topics(**{"out.dlq": topic(size=size, segment_bytes=segment)}))
        assert [text.split(" ", 1)[0] for text in texts] == ([named] if named else [])

    def test_a_dead_letter_without_a_body_is_smaller(self) -> None:
        """It fits even with the longest topic, model and error."""
        message = Message(b"v", b"k", (), "t" * 249, 2**31 - 1, 2**63 - 1, 2**63 - 1)
        failure = Failure(PredictionFailed(ValueError("é" * 9999)), "m" * 9999)
        size = record_size_upper_bound(None, None, added_headers(message, failure))
        assert size < 0.9 * MIN_DEAD_LETTER_BYTES


class TestOutputTopic:
    """What its settings refuse becomes a dead letter, so the job starts."""

    @pytest.mark.parametrize("size", [1, INPUT, NEEDED - 1, None])
    @pytest.mark.parametrize("policy", ["compact", "delete"])
    def test_starts(self, size: int | None, policy: str) -> None:
        """However small it is, and with compaction."""
        assert report(topics(out=topic(size=size, cleanup_policy=policy))) == []

    def test_kafkas_defaults(self) -> None:
        """Three topics with Kafka's defaults have no problems."""
        assert report({name: topic(size=INPUT) for name in ("in", "out", "out.dlq")}) == []


class TestClock:
    """The broker may compare a record's timestamp with its clock."""

    @pytest.mark.parametrize("name", ["out", "out.dlq"])
    @pytest.mark.parametrize(("limit", "count"), [(0, 1), (999, 1), (1000, 0)])
    def test_limit_below_normal_age(self, name: str, limit: int, count: int) -> None:
        """A topic that refuses records of a normal age would accept no record."""
        texts = report(topics(**{name: topic(**{BEFORE: limit})}))
        assert len(texts) == count
        for problem in texts:
            assert problem.startswith(f"{BEFORE} of {name} is {limit}")
            assert problem.endswith(f"--topic {name} --add-config {APPEND}")

    @pytest.mark.parametrize("setting", [BEFORE, AFTER])
    @pytest.mark.parametrize(("limit", "count"), [(1000, 1), (119_999, 1), (120_000, 0)])
    def test_narrow(self, setting: str, limit: int, count: int) -> None:
        """A limit that a slow write or a wrong clock may exceed causes a warning."""
        texts = warned(topics(out=topic(**{setting: limit})))
        assert len(texts) == count
        assert all(text.startswith(f"{setting} of out is {limit}") for text in texts)

    @pytest.mark.parametrize("setting", [BEFORE, AFTER])
    def test_log_append_time(self, setting: str) -> None:
        """If the broker sets the timestamps, the limits do not matter."""
        known = topics(out=topic(message_timestamp_type="LogAppendTime", **{setting: 0}))
        assert report(known) == warned(known) == []


def warned(known: dict[str, Topic], **rest: Any) -> list[str]:  # noqa: ANN401 - settings of many types
    """Return the warnings."""
    stream = StreamSettings(input_topics=("in",), output_topic="out", **rest)
    return list(warnings(known, KAFKA, stream))


class TestWarnings:
    """Warnings cover what works but may be unintended."""

    def test_none(self) -> None:
        """Suitable topics cause no warnings."""
        assert warned(topics()) == []

    @pytest.mark.parametrize("parallelism", [1, 2])
    def test_parallelism_within_partitions(self, parallelism: int) -> None:
        """Up to the number of partitions, the order per key is kept."""
        assert warned(topics(), parallelism=parallelism) == []

    def test_parallelism_beyond_partitions(self) -> None:
        """More tasks than partitions cause a warning that the order per key is lost."""
        (warning,) = warned(topics(), parallelism=3)
        assert "parallelism 3 is more than the 2 partitions" in warning
        assert "out of order" in warning

    @pytest.mark.parametrize(
        ("milliseconds", "warns"),
        [
            (3_600_000, False),
            (MAX_TIMESTAMP_MS, False),
            (MAX_TIMESTAMP_MS + 1, True),
            (2**63 - 1, True),
        ],
    )
    def test_timestamps(self, milliseconds: int, warns: bool) -> None:
        """An input topic that accepts timestamps beyond Spark's limit causes a warning."""
        texts = warned(topics(**{"in": topic(2, INPUT, **{AFTER: milliseconds})}))
        assert len(texts) == warns
        for warning in texts:
            assert warning.startswith("['in'] accept records with any timestamp")
            assert "message.timestamp.after.max.ms" in warning

    def test_timestamps_of_own_topics(self) -> None:
        """The output topics may accept any timestamp."""
        assert warned(topics(out=topic(**{AFTER: 2**63 - 1}))) == []

    def test_max_timestamp(self) -> None:
        """Spark stores microseconds in 64 bits: one more millisecond overflows."""
        assert MAX_TIMESTAMP_MS * 1000 < 2**63 <= (MAX_TIMESTAMP_MS + 1) * 1000

    def test_unreadable(self) -> None:
        """Topics with unreadable settings are named, with the assumed values."""
        (unread,) = warned(topics(out=topic(size=None), **{"in": topic(2, None)}))
        assert "['in', 'out']" in unread
        assert "DescribeConfigs" in unread
        assert f"max.message.bytes={INPUT}" in unread

    @pytest.mark.parametrize("size", [1, INPUT, NEEDED - 1])
    def test_small(self, size: int) -> None:
        """Topics that may not fit the largest input are named once, with the consequences."""
        known = topics(**{name: topic(size=size) for name in ("out", "out.dlq")})
        (warning,) = warned(known)
        assert warning.startswith("out and out.dlq may be too small")
        assert warning.endswith(f"--topic out.dlq --add-config max.message.bytes={NEEDED}")

    def test_compacted_output(self) -> None:
        """The warning explains what happens to a message without a key."""
        (warning,) = warned(topics(out=topic(cleanup_policy="compact")))
        assert warning.startswith("out is compacted")
        assert "KeyRequired" in warning
