from __future__ import annotations

from typing import Any

import pytest

from tidemill.errors import ConfigurationError, PredictionFailed
from tidemill.inference.codec import encode_truncated_headers, record_size_upper_bound
from tidemill.inference.message import Failure, Message
from tidemill.kafka.topics import AFTER, BEFORE, Topic
from tidemill.settings import KafkaSettings, StreamSettings
from tidemill.streaming.output_topics import LEAST_BYTES
from tidemill.streaming.preflight import ADDED_BYTES, LATEST_TIMESTAMP, inputs, problems, warnings

INPUT = 1_048_588
NEEDED = INPUT + 65_536
KAFKA = KafkaSettings()
APPEND = "message.timestamp.type=LogAppendTime"
STREAM = StreamSettings(input_topics=("in",), output_topic="out")


def topic(partitions: int = 1, size: int | None = NEEDED, **settings: object) -> Topic:
    """Return a topic with settings, their dots as underscores; without a size none can be read."""
    known = {name.replace("_", "."): str(value) for name, value in settings.items()}
    return Topic(partitions, {"max.message.bytes": str(size), **known} if size else {})


def topics(**others: Topic | None) -> dict[str, Topic]:
    """Return topics with room, but for the given ones (`None`: not there)."""
    known = {"in": topic(2, INPUT), "out": topic(), "out.dlq": topic()}
    return {name: found for name, found in {**known, **others}.items() if found is not None}


def pattern(regex: str) -> StreamSettings:
    """Return settings that read by pattern."""
    return StreamSettings(input_pattern=regex, output_topic="out")


def found(
    known: dict[str, Topic], kafka: KafkaSettings = KAFKA, stream: StreamSettings = STREAM
) -> list[str]:
    """Return the problems."""
    return list(problems(known, kafka, stream))


class TestTopics:
    """Every topic that the job reads or writes must be there."""

    def test_all_is_well(self) -> None:
        """Nothing is said where all fits."""
        assert found(topics()) == []

    @pytest.mark.parametrize("name", ["in", "out", "out.dlq"])
    def test_missing(self, name: str) -> None:
        """A missing topic is named, and only it."""
        (problem,) = found(topics(**{name: None}))
        assert problem.startswith(f"there is no topic {name} ")

    def test_all_missing(self) -> None:
        """All that are missing are named at once."""
        assert len(found({})) == 3


class TestPattern:
    """Topics by pattern."""

    def test_matches(self) -> None:
        """The whole name must match, as for Java's client."""
        known = topics(**{"in-1": topic(3, INPUT), "xin": topic(1, INPUT)})
        assert inputs(known, pattern("in.*")) == ["in", "in-1"]
        assert found(known, stream=pattern("in.*")) == []

    def test_matches_none(self) -> None:
        """A pattern without a topic is named."""
        (problem,) = found(topics(), stream=pattern("none-.*"))
        assert "'none-.*'" in problem

    def test_loop(self) -> None:
        """A pattern that matches what the job writes is refused."""
        said = found(topics(), stream=pattern(".*"))
        assert [text for text in said if "endless loop" in text] == [
            "stream.input_pattern matches out, which the job writes: an endless loop",
            "stream.input_pattern matches out.dlq, which the job writes: an endless loop",
        ]

    def test_listed_topics_do_not_count(self) -> None:
        """With a pattern the default input topic need not exist."""
        assert found(topics(), stream=pattern("in")) == []

    def test_broken(self) -> None:
        """A pattern that is none is a wrong configuration, here or before."""
        with pytest.raises((ConfigurationError, ValueError), match="input_pattern"):
            found(topics(), stream=pattern("in-("))


class TestCommands:
    """A missing topic comes with the command that makes it as it should be."""

    @pytest.mark.parametrize(
        ("name", "ends"),
        [
            ("in", "--partitions 4"),
            ("out", f"--partitions 2 --config max.message.bytes={NEEDED}"),
            ("out.dlq", f"--partitions 2 --config max.message.bytes={NEEDED}"),
        ],
    )
    def test_room(self, name: str, ends: str) -> None:
        """What the job writes gets the inputs' partitions and more room than they; an input not."""
        (problem,) = found(topics(**{name: None}))
        assert problem.endswith(f"--create --topic {name} {ends}")

    def test_largest_input_counts(self) -> None:
        """Among many input topics the largest counts."""
        stream = StreamSettings(input_topics=("in", "big"), output_topic="out")
        known = topics(big=topic(1, 5_000_000), out=None)
        (problem,) = found(known, stream=stream)
        assert problem.endswith(f"--partitions 3 --config max.message.bytes={5_000_000 + 65_536}")

    def test_margin(self) -> None:
        """The margin is 64 KiB."""
        assert ADDED_BYTES == 64 * 1024


class TestDeadLetterTopic:
    """The topic of last resort must take a dead letter of every message, and keep it."""

    @pytest.mark.parametrize("policy", ["compact", "compact,delete", "delete,compact"])
    def test_compacted(self, policy: str) -> None:
        """It may not be compacted: one dead letter would replace another."""
        (problem,) = found(topics(**{"out.dlq": topic(cleanup_policy=policy)}))
        assert problem.startswith("out.dlq is compacted")
        assert problem.endswith("--alter --topic out.dlq --add-config cleanup.policy=delete")

    def test_deleting(self) -> None:
        """It may delete what is old."""
        assert found(topics(**{"out.dlq": topic(cleanup_policy="delete")})) == []

    @pytest.mark.parametrize(
        ("size", "segment", "named"),
        [
            (LEAST_BYTES, 2**30, None),
            (LEAST_BYTES - 1, 2**30, "max.message.bytes"),
            (NEEDED, LEAST_BYTES - 1, "segment.bytes"),
        ],
    )
    def test_smallest(self, size: int, segment: int, named: str | None) -> None:
        """It must take a dead letter without a body."""
        said = found(topics(**{"out.dlq": topic(size=size, segment_bytes=segment)}))
        assert [text.split(" ", 1)[0] for text in said] == ([named] if named else [])

    def test_a_dead_letter_without_a_body_is_smaller(self) -> None:
        """Even with the longest topic, model and error."""
        message = Message(b"v", b"k", (), "t" * 249, 2**31 - 1, 2**63 - 1, 2**63 - 1)
        failure = Failure(PredictionFailed(ValueError("é" * 9999)), "m" * 9999)
        assert (
            record_size_upper_bound(None, None, encode_truncated_headers(message, failure))
            < 0.9 * LEAST_BYTES
        )


class TestOutputTopic:
    """What its settings refuse becomes a dead letter, so the job starts."""

    @pytest.mark.parametrize("size", [1, INPUT, NEEDED - 1, None])
    @pytest.mark.parametrize("policy", ["compact", "delete"])
    def test_starts(self, size: int | None, policy: str) -> None:
        """However small it is, and with compaction."""
        assert found(topics(out=topic(size=size, cleanup_policy=policy))) == []

    def test_kafkas_defaults(self) -> None:
        """Three topics that nobody configured are no problem."""
        assert found({name: topic(size=INPUT) for name in ("in", "out", "out.dlq")}) == []


class TestClock:
    """The broker may compare the time of a record with its own."""

    @pytest.mark.parametrize("name", ["out", "out.dlq"])
    @pytest.mark.parametrize(("limit", "count"), [(0, 1), (999, 1), (1000, 0)])
    def test_nothing_arrives_in_time(self, name: str, limit: int, count: int) -> None:
        """A topic that refuses what was under way for a moment could take no record."""
        said = found(topics(**{name: topic(**{BEFORE: limit})}))
        assert len(said) == count
        for problem in said:
            assert problem.startswith(f"{BEFORE} of {name} is {limit}")
            assert problem.endswith(f"--topic {name} --add-config {APPEND}")

    @pytest.mark.parametrize("setting", [BEFORE, AFTER])
    @pytest.mark.parametrize(("limit", "count"), [(1000, 1), (119_999, 1), (120_000, 0)])
    def test_narrow(self, setting: str, limit: int, count: int) -> None:
        """A limit that a slow write or a wrong clock may pass is warned of."""
        said = warned(topics(out=topic(**{setting: limit})))
        assert len(said) == count
        assert all(text.startswith(f"{setting} of out is {limit}") for text in said)

    @pytest.mark.parametrize("setting", [BEFORE, AFTER])
    def test_of_the_broker(self, setting: str) -> None:
        """Where the broker writes its own time there is nothing to compare."""
        known = topics(out=topic(message_timestamp_type="LogAppendTime", **{setting: 0}))
        assert found(known) == warned(known) == []


def warned(known: dict[str, Topic], **rest: Any) -> list[str]:  # noqa: ANN401 - settings of many types
    """Return the warnings."""
    stream = StreamSettings(input_topics=("in",), output_topic="out", **rest)
    return list(warnings(known, KAFKA, stream))


class TestWarnings:
    """What the operator may want, but should know."""

    def test_none(self) -> None:
        """Nothing is said where all is known."""
        assert warned(topics()) == []

    @pytest.mark.parametrize("parallelism", [1, 2])
    def test_parallelism_within_partitions(self, parallelism: int) -> None:
        """Up to the number of partitions order per key is kept."""
        assert warned(topics(), parallelism=parallelism) == []

    def test_parallelism_beyond_partitions(self) -> None:
        """Beyond it is given up, and that is said."""
        (warning,) = warned(topics(), parallelism=3)
        assert "parallelism 3 is more than the 2 partitions" in warning
        assert "out of order" in warning

    @pytest.mark.parametrize(
        ("milliseconds", "said"),
        [
            (3_600_000, False),
            (LATEST_TIMESTAMP, False),
            (LATEST_TIMESTAMP + 1, True),
            (2**63 - 1, True),
        ],
    )
    def test_timestamps(self, milliseconds: int, said: bool) -> None:
        """An input topic that takes records of a time beyond Spark's is named, with what to set."""
        found_warnings = warned(topics(**{"in": topic(2, INPUT, **{AFTER: milliseconds})}))
        assert len(found_warnings) == said
        for warning in found_warnings:
            assert warning.startswith("['in'] take records of any timestamp")
            assert "message.timestamp.after.max.ms" in warning

    def test_timestamps_of_own_topics(self) -> None:
        """What the job only writes may take any."""
        assert warned(topics(out=topic(**{AFTER: 2**63 - 1}))) == []

    def test_latest_timestamp(self) -> None:
        """Spark counts microseconds in 64 bits: a millisecond more overflows."""
        assert LATEST_TIMESTAMP * 1000 < 2**63 <= (LATEST_TIMESTAMP + 1) * 1000

    def test_unreadable(self) -> None:
        """Topics whose settings cannot be read are named, with what is assumed of them."""
        (unread,) = warned(topics(out=topic(size=None), **{"in": topic(2, None)}))
        assert "['in', 'out']" in unread
        assert "DescribeConfigs" in unread
        assert f"max.message.bytes={INPUT}" in unread

    @pytest.mark.parametrize("size", [1, INPUT, NEEDED - 1])
    def test_small(self, size: int) -> None:
        """Topics that may not hold the largest input are named once, with what that means."""
        known = topics(**{name: topic(size=size) for name in ("out", "out.dlq")})
        (warning,) = warned(known)
        assert warning.startswith("out and out.dlq may be too small")
        assert warning.endswith(f"--topic out.dlq --add-config max.message.bytes={NEEDED}")

    def test_compacted_output(self) -> None:
        """What becomes of a message without a key is said."""
        (warning,) = warned(topics(out=topic(cleanup_policy="compact")))
        assert warning.startswith("out is compacted")
        assert "KeyRequired" in warning
