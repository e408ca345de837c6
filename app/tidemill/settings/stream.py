"""The section `stream`."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from tidemill.settings.base import Section

TRIGGER_UNITS = {"millisecond": 0.001, "second": 1.0, "minute": 60.0, "hour": 3600.0}
TRIGGER = r"available-now|\d+ (milliseconds?|seconds?|minutes?|hours?)"


def _topic(name: str) -> str:
    legal = len(name) <= 249 and name not in {".", ".."}  # noqa: PLR2004 - Kafka's own limit
    if not (legal and name and all(c.isascii() and (c.isalnum() or c in "._-") for c in name)):
        raise ValueError(f"{name!r} is no topic name: letters, digits, '.', '_', '-', at most 249")
    return name


def _trigger(trigger: str) -> str:
    if not re.fullmatch(TRIGGER, trigger):
        raise ValueError(f"{trigger!r} must be available-now or an interval such as '10 seconds'")
    return trigger


def _whole(number: Any) -> int:  # noqa: ANN401 - what a document may hold
    if isinstance(number, str | int) and not isinstance(number, bool):
        return int(number)
    raise TypeError(f"{number!r} is no whole number")


def _pattern(pattern: str) -> str:
    if not pattern:
        raise ValueError("it is empty")
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
    return pattern


Topic = Annotated[str, AfterValidator(_topic)]


class StreamSettings(Section):
    """The streaming job.

    Attributes:
        input_topics: Topics to read; or `input_pattern`, a regular expression of their names, of
            what Java (the connector) and Python (the checks) read alike.
        delivery: at-least-once, where a crash may repeat outcomes; or exactly-once, where readers
            with isolation.level=read_committed see each once.
        parallelism: Tasks for a micro-batch where that is more than the partitions: splits
            partitions, so that order per key is given up. None: a task for each partition.
        arrow_batch_size: The most messages that a worker takes at a time.
        worker_threads: Threads of the numeric libraries in each Python worker.
        udf_idle_timeout: Seconds after which a worker that gives nothing back is taken for hung,
            ended, and its task tried again; more than the slowest batch takes. 0: never.
        stop_timeout: Seconds that a stop waits for the running micro-batch.

    """

    input_topics: tuple[Topic, ...] = ("ner-input",)
    input_pattern: Annotated[str, AfterValidator(_pattern)] | None = None
    output_topic: Topic = "ner-output"
    dead_letter_topic: Topic = "ner-output.dlq"
    group_id: str = Field("tidemill", min_length=1)
    checkpoint_location: str = Field(".tidemill/checkpoints", min_length=1)
    starting_offsets: str = "earliest"
    trigger: Annotated[str, AfterValidator(_trigger)] = "0 seconds"
    delivery: Literal["at-least-once", "exactly-once"] = "at-least-once"
    max_offsets_per_trigger: int = Field(20_000, ge=1)
    parallelism: int | None = Field(None, ge=1)
    fail_on_data_loss: bool = True
    arrow_batch_size: int = Field(256, ge=1)
    worker_threads: int = Field(1, ge=1)
    udf_idle_timeout: int = Field(600, ge=0)
    stop_timeout: float = Field(60, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _topics(cls, data: Any) -> Any:  # noqa: ANN401 - pydantic's hook
        """Name the dead-letter topic after the output topic where only that one is given.

        Raises:
            ValueError: The input is named in two ways.

        """
        if isinstance(data, dict) and data.get("input_topics") and data.get("input_pattern"):
            raise ValueError("input_topics and input_pattern are both set: keep one")
        if isinstance(data, dict) and "output_topic" in data:
            return {"dead_letter_topic": f"{data['output_topic']}.dlq", **data}
        return data

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.input_pattern is None and not self.input_topics:
            raise ValueError("input_topics is empty and there is no input_pattern")
        own = [self.output_topic, self.dead_letter_topic]
        if len(set(own)) != len(own):
            raise ValueError("output_topic and dead_letter_topic are the same")
        if self.input_pattern is None and (loop := set(own) & set(self.input_topics)):
            raise ValueError(f"{sorted(loop)} would be read and written: an endless loop")
        if self.delivery == "exactly-once" and self.parallelism is not None:
            raise ValueError(
                "parallelism is set, yet delivery is exactly-once, where each partition is one "
                "task's: leave it out, and give the topics more partitions"
            )
        return self

    @property
    def trigger_seconds(self) -> float:
        """Seconds between two looks for messages; 0 where there is no interval."""
        number, _, unit = self.trigger.partition(" ")
        return int(number) * TRIGGER_UNITS[unit.removesuffix("s")] if unit else 0.0

    @field_validator("starting_offsets", mode="before")
    @classmethod
    def _offsets(cls, value: Any) -> Any:  # noqa: ANN401 - pydantic's hook
        """Accept earliest, latest, or offsets as a mapping or JSON: {"topic": {"0": 42}}."""
        if value in ("earliest", "latest"):
            return value
        try:
            offsets = json.loads(value) if isinstance(value, str) else value
            return json.dumps(
                {
                    topic: {str(_whole(p)): _whole(offset) for p, offset in partitions.items()}
                    for topic, partitions in offsets.items()
                }
            )
        except (ValueError, TypeError, AttributeError):
            raise ValueError(
                'must be earliest, latest, or offsets such as {"topic": {"0": 42}}'
            ) from None
