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
        raise ValueError(
            f"{name!r} is not a topic name: use letters, digits, '.', '_', '-', at most 249"
        )
    return name


def _trigger(trigger: str) -> str:
    if not re.fullmatch(TRIGGER, trigger):
        raise ValueError(f"{trigger!r} must be available-now or an interval such as '10 seconds'")
    return trigger


def _whole(number: Any) -> int:  # noqa: ANN401 - what a document may hold
    if isinstance(number, str | int) and not isinstance(number, bool):
        return int(number)
    raise TypeError(f"{number!r} is not a whole number")


def _pattern(pattern: str) -> str:
    if not pattern:
        raise ValueError("must not be empty")
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
    return pattern


Topic = Annotated[str, AfterValidator(_topic)]


class StreamSettings(Section):
    """The streaming job.

    Attributes:
        input_topics: The topics to read.
        input_pattern: A regular expression of topic names, instead of `input_topics`, for topics
            that are created later. Use only syntax that Java and Python share.
        output_topic: The topic for results.
        dead_letter_topic: The topic for dead letters; by default `<output_topic>.dlq`.
        group_id: The consumer group whose offsets show the lag. Each job needs its own; with
            exactly-once it also decides where the job resumes.
        checkpoint_location: The folder of Spark's checkpoint. Each job needs its own; on a cluster
            it must be on a shared file system.
        starting_offsets: `earliest`, `latest`, or offsets such as `{"topic": {"0": 42}}`, with
            other partitions at the earliest. Used only if there is no checkpoint yet.
        trigger: The interval between micro-batches, such as `10 seconds`. `0 seconds` starts one as
            soon as there are messages. `available-now` processes the messages that exist and ends.
        delivery: `at-least-once`: a crash may repeat outcomes. `exactly-once`: readers with
            `isolation.level=read_committed` see each outcome once.
        max_offsets_per_trigger: The most messages in a micro-batch. Lower it if micro-batches take
            too long, as with a slow model: a stop waits for the running one.
        parallelism: Tasks per micro-batch; by default one for each partition. A task uses all cores
            of its executor, so set this only to use more executors than there are partitions. It
            gives up order per key, and is not possible with exactly-once.
        fail_on_data_loss: Stop if Kafka deleted messages before they were processed. `false`
            accepts the loss and continues with the messages that are left.
        arrow_batch_size: The most messages in an Arrow batch, and with exactly-once in a
            transaction. A worker holds several batches, because it predicts ahead. Lower it if
            messages are large and workers run out of memory.
        worker_threads: Threads of numeric libraries in each model process. If you raise it, lower
            `pool.processes`, so that they do not compete for the cores.
        udf_idle_timeout: Seconds without a sign of life before Spark kills a hung worker and
            retries its task; `0`: never. Waiting for a model does not count: an entry's
            `limits.seconds` limits its calls.
        stop_timeout: Seconds that a stop waits for the running micro-batch. Set it to the longest
            that one may take, and give a container 20 s more.

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
        """Name the dead-letter topic after the output topic if only that one is set.

        Raises:
            ValueError: Both input_topics and input_pattern are set.

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
                "parallelism is not possible with delivery: exactly-once, which needs one task per "
                "partition: remove it, and give the topics more partitions"
            )
        return self

    @property
    def trigger_seconds(self) -> float:
        """The trigger's interval in seconds; 0 without an interval."""
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
