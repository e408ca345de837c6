from __future__ import annotations

from typing import Any

import pytest

from app.errors import ConfigurationError
from app.settings import KafkaSettings, StreamSettings
from app.streaming.preflight import (
    ADDED_BYTES,
    LATEST_TIMESTAMP,
    Topic,
    inputs,
    problems,
    warnings,
)

INPUT = 1_048_588
NEEDED = INPUT + 65_536
KAFKA = KafkaSettings()
STREAM = StreamSettings(input_topics=("in",), output_topic="out")


def topics(**others: Topic | None) -> dict[str, Topic]:
    """Return topics that fit, but for the given ones (`None`: not there)."""
    found = {"in": Topic(2, INPUT), "out": Topic(1, NEEDED), "out.dlq": Topic(1, NEEDED)}
    return {name: topic for name, topic in {**found, **others}.items() if topic is not None}


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
        known = topics(**{"in-1": Topic(3, INPUT), "xin": Topic(1, INPUT)})
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


class TestSizes:
    """What comes in must fit into what goes out, with the added headers."""

    def test_margin(self) -> None:
        """The margin is 64 KiB."""
        assert ADDED_BYTES == 64 * 1024

    def test_producer(self) -> None:
        """A producer that could not send the largest input as a dead letter is refused."""
        kafka = KafkaSettings(max_request_size=NEEDED - 1)
        (problem,) = found(topics(), kafka)
        assert problem == (
            f"kafka.max_request_size is {NEEDED - 1}, but an input may take {INPUT} bytes: "
            f"set it to {NEEDED} or more"
        )

    @pytest.mark.parametrize("name", ["out", "out.dlq"])
    def test_topic(self, name: str) -> None:
        """A topic that is a byte too small is named, with the command that mends it."""
        (problem,) = found(topics(**{name: Topic(1, NEEDED - 1)}))
        assert f"max.message.bytes of {name} is {NEEDED - 1}" in problem
        assert f"--topic {name} --add-config max.message.bytes={NEEDED}" in problem

    def test_largest_input_counts(self) -> None:
        """Among many input topics the largest counts."""
        stream = StreamSettings(input_topics=("in", "big"), output_topic="out")
        said = found(topics(big=Topic(1, 5_000_000)), stream=stream)
        assert any("kafka.max_request_size" in text and "5000000" in text for text in said)
        assert any("max.message.bytes of out.dlq" in text for text in said)

    @pytest.mark.parametrize("name", ["out", "out.dlq"])
    def test_as_large_as_the_producer(self, name: str) -> None:
        """Both topics take what the producer may send, where that is more than an input needs."""
        kafka = KafkaSettings(max_request_size=2 * NEEDED)
        fitting = {"out": Topic(1, 2 * NEEDED), "out.dlq": Topic(1, 2 * NEEDED)}
        assert found(topics(**fitting), kafka) == []
        (problem,) = found(topics(**{**fitting, name: Topic(1, 2 * NEEDED - 1)}), kafka)
        assert f"max.message.bytes of {name} is {2 * NEEDED - 1}" in problem
        assert f"--topic {name} --add-config max.message.bytes={2 * NEEDED}" in problem

    @pytest.mark.parametrize("name", ["out", "out.dlq"])
    def test_unknown_inputs(self, name: str) -> None:
        """So they must where no input's size is known."""
        unknown = {"in": Topic(2, None), name: Topic(1, KAFKA.max_request_size - 1)}
        (problem,) = found(topics(**unknown))
        assert f"max.message.bytes of {name}" in problem

    @pytest.mark.parametrize("name", ["in", "out", "out.dlq"])
    def test_unknown_size(self, name: str) -> None:
        """A size that may not be asked for is no problem."""
        assert found(topics(**{name: Topic(1, None)})) == []


def warned(known: dict[str, Topic], **rest: Any) -> list[str]:  # noqa: ANN401 - settings of many types
    """Return the warnings."""
    stream = StreamSettings(input_topics=("in",), output_topic="out", **rest)
    return list(warnings(known, stream))


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
            (None, False),
        ],
    )
    def test_timestamps(self, milliseconds: int | None, said: bool) -> None:
        """An input topic that takes records of a time beyond Spark's is named, with what to set."""
        found_warnings = warned(topics(**{"in": Topic(2, INPUT, milliseconds)}))
        assert len(found_warnings) == said
        for warning in found_warnings:
            assert warning.startswith("['in'] take records of any timestamp")
            assert "message.timestamp.after.max.ms" in warning

    def test_timestamps_of_own_topics(self) -> None:
        """What the job only writes may take any."""
        assert warned(topics(out=Topic(1, NEEDED, 2**63 - 1))) == []

    def test_latest_timestamp(self) -> None:
        """Spark counts microseconds in 64 bits: a millisecond more overflows."""
        assert LATEST_TIMESTAMP * 1000 < 2**63 <= (LATEST_TIMESTAMP + 1) * 1000

    def test_unknown_sizes(self) -> None:
        """Sizes that may not be asked for are named."""
        (warning,) = warned(topics(out=Topic(1, None), **{"in": Topic(2, None)}))
        assert "['in', 'out']" in warning
