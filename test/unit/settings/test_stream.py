from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tidemill import settings
from tidemill.errors import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    Load = Callable[..., settings.Settings]


class TestTrigger:
    """The trigger decides when a micro-batch starts."""

    @pytest.mark.parametrize(
        "trigger", ["0 seconds", "available-now", "1 second", "10 minutes", "250 milliseconds"]
    )
    def test_taken(self, load: Load, trigger: str) -> None:
        """It is an interval in words, or available-now."""
        assert load(stream={"trigger": trigger}).stream.trigger == trigger

    @pytest.mark.parametrize(
        "trigger", ["", "1", "5s", "-1 seconds", "1.5 seconds", "once", "0 seconds\n", 5, None]
    )
    def test_refused(self, load: Load, trigger: object) -> None:
        """Any other value is an error that names it."""
        with pytest.raises(InvalidSettings, match=r"stream\.trigger"):
            load(stream={"trigger": trigger})

    @pytest.mark.parametrize("trigger", ["5s", "", "once"])
    def test_in_words(self, load: Load, trigger: str) -> None:
        """The message shows an example, not a regular expression."""
        with pytest.raises(InvalidSettings) as caught:
            load(stream={"trigger": trigger})
        assert str(caught.value).endswith(
            f"{trigger!r} must be available-now or an interval such as '10 seconds'"
        )


class TestTriggerSeconds:
    """The trigger's interval is known in seconds."""

    @pytest.mark.parametrize(
        ("trigger", "seconds"),
        [
            ("available-now", 0),
            ("0 seconds", 0),
            ("1 second", 1),
            ("10 minutes", 600),
            ("2 hours", 7200),
            ("250 milliseconds", 0.25),
        ],
    )
    def test_read(self, load: Load, trigger: str, seconds: float) -> None:
        """Every unit is converted to seconds."""
        assert load(stream={"trigger": trigger}).stream.trigger_seconds == seconds


class TestStartingOffsets:
    """The starting offsets are validated."""

    @pytest.mark.parametrize("offsets", ["earliest", "latest"])
    def test_words(self, load: Load, offsets: str) -> None:
        """The two words are unchanged."""
        assert load(stream={"starting_offsets": offsets}).stream.starting_offsets == offsets

    @pytest.mark.parametrize("offsets", [{"t": {0: 42, 1: -2}}, '{"t": {"0": 42, "1": -2}}'])
    def test_by_partition(self, load: Load, offsets: object) -> None:
        """A mapping or its JSON becomes the JSON that Spark reads."""
        loaded = load(stream={"starting_offsets": offsets}).stream.starting_offsets
        assert json.loads(loaded) == {"t": {"0": 42, "1": -2}}

    def test_in_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same applies to a variable."""
        monkeypatch.setenv("TIDEMILL__STREAM__STARTING_OFFSETS", '{"t":{"0":42}}')
        assert json.loads(settings.load().stream.starting_offsets) == {"t": {"0": 42}}

    @pytest.mark.parametrize(
        "offsets",
        [
            "newest", "", 5, None, [], "[]", {"t": 5}, {"t": {"zero": 1}}, {"t": {"0": None}},
            '{"t": {"0": 1e999}}', {"t": {"0": 1.5}},
        ],
    )  # fmt: skip
    def test_refused(self, load: Load, offsets: object) -> None:
        """Any other value is an error that names it; nothing is rounded."""
        with pytest.raises(InvalidSettings, match=r"stream\.starting_offsets"):
            load(stream={"starting_offsets": offsets})


class TestTopics:
    """Topics that mix input and output are refused."""

    def test_dead_letters_follow(self, load: Load) -> None:
        """The dead-letter topic's default name follows the output topic."""
        assert load(stream={"output_topic": "out"}).stream.dead_letter_topic == "out.dlq"

    def test_dead_letters_follow_a_variable(
        self, load: Load, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It also follows an output topic from the environment."""
        monkeypatch.setenv("TIDEMILL__STREAM__OUTPUT_TOPIC", "out")
        assert load(stream={"group_id": "g"}).stream.dead_letter_topic == "out.dlq"

    def test_dead_letters_named(self, load: Load) -> None:
        """An explicit name is kept."""
        stream = load(stream={"output_topic": "out", "dead_letter_topic": "dead"}).stream
        assert stream.dead_letter_topic == "dead"

    @pytest.mark.parametrize("loop", ["out", "out.dlq"])
    def test_loop(self, load: Load, loop: str) -> None:
        """A topic cannot be both input and output."""
        with pytest.raises(InvalidSettings, match=f"'{loop}'.*endless loop"):
            load(stream={"input_topics": ["in", loop], "output_topic": "out"})

    def test_two_ways(self, load: Load) -> None:
        """Setting both topics and a pattern is refused, because the topics would be ignored."""
        with pytest.raises(InvalidSettings, match="input_topics and input_pattern are both set"):
            load(stream={"input_topics": ["in"], "input_pattern": "in-.*"})

    def test_two_ways_apart(self, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same applies if the environment sets one and the file the other."""
        monkeypatch.setenv("TIDEMILL__STREAM__INPUT_PATTERN", "in-.*")
        with pytest.raises(InvalidSettings, match="both set"):
            load(stream={"input_topics": ["in"]})

    @pytest.mark.parametrize("topics", [{}, {"input_topics": []}])
    def test_pattern(self, load: Load, topics: dict[str, list[str]]) -> None:
        """A pattern alone is enough."""
        loaded = load(stream={"input_pattern": "in-.*", **topics})
        assert loaded.stream.input_pattern == "in-.*"

    def test_empty_pattern(self, load: Load) -> None:
        """An empty pattern is refused, with or without topics."""
        for topics in ({}, {"input_topics": ["in"]}):
            with pytest.raises(InvalidSettings, match=r"stream\.input_pattern: must not be empty"):
                load(stream={"input_pattern": "", **topics})

    def test_same(self, load: Load) -> None:
        """Results and dead letters need different topics."""
        with pytest.raises(InvalidSettings, match="the same"):
            load(stream={"output_topic": "out", "dead_letter_topic": "out"})

    def test_longest_name(self, load: Load) -> None:
        """The longest name that Kafka allows is accepted."""
        assert load(stream={"input_topics": ["x" * 249]}).stream.input_topics == ("x" * 249,)


class TestExactlyOnce:
    """Settings that break exactly-once are refused before anything starts."""

    @pytest.mark.parametrize(
        ("stream", "spark"),
        [({"parallelism": 4}, {}), ({}, {"spark.speculation": True})],
        ids=["parallelism", "speculation"],
    )
    def test_refused(self, load: Load, stream: dict[str, object], spark: dict[str, object]) -> None:
        """These are tasks that share a partition, and concurrent attempts at one task."""
        load(stream=stream, spark=spark)
        with pytest.raises(InvalidSettings, match="exactly-once"):
            load(stream={**stream, "delivery": "exactly-once"}, spark=spark)
