"""The two deliveries, at least once and exactly once, and the choice between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from tidemill.streaming.at_least_once import AtLeastOnce
from tidemill.streaming.exactly_once.delivery import ExactlyOnce

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from pyspark.sql import SparkSession

    from tidemill.kafka.record_size import TopicLimits
    from tidemill.settings import KafkaSettings, StreamSettings
    from tidemill.spark.batch_delivery import BatchDelivery
    from tidemill.streaming.progress import Progress
    from tidemill.streaming.sink import Sink
    from tidemill.streaming.start_plan import StartPlan


class Delivery(Protocol):
    """What a job guarantees, at least once or exactly once, and how its runs keep it.

    Attributes:
        shares_group: Whether the job runs although other consumers are members of its group.

    """

    shares_group: ClassVar[bool]

    def check_spark(self, spark: SparkSession) -> None:
        """Check Spark's configuration, before the job takes over any partition.

        Raises:
            ConfigurationError: It would break the guarantee.

        """

    def inspect(self) -> StartPlan:
        """Plan where each partition resumes; change nothing.

        Raises:
            ConfigurationError, DataLoss, BrokerUnreachable: The job cannot start.

        """

    def take_over(self) -> DeliveryRun:
        """Begin a run: plan it, and take over the partitions from the run before.

        Raises:
            ConfigurationError, DataLoss, BrokerUnreachable: The job cannot start.
            TransactionFailed: Kafka does not answer, or refuses the request.

        """


class DeliveryRun(Protocol):
    """One run of the query: what writes its outcomes, and what commits its offsets."""

    @property
    def plan(self) -> StartPlan:
        """The plan of the start."""

    @property
    def starting_offsets(self) -> str:
        """Spark's option `startingOffsets`, which counts only without a checkpoint."""

    def worker_delivery(self, limits: Mapping[str, TopicLimits]) -> BatchDelivery:
        """Return what the workers do with the outcomes; the output topics accept `limits`."""

    def spark_sink(self, sink: Sink) -> Sink:
        """Return the sink of the query: `sink`, or nothing if the workers write the outcomes."""

    def track_offsets(self) -> AbstractContextManager[OffsetTracker]:
        """Commit the group's offsets while the query runs, or watch the workers' commits."""


class OffsetTracker(Protocol):
    """Commit or watch the group's offsets in the background."""

    def record(self, progress: Progress) -> None:
        """Take the progress of a finished micro-batch; return at once."""

    def check(self) -> None:
        """Raise an error if the query must stop.

        Raises:
            ConfigurationError: The group has members, or its offsets were changed.

        """


DELIVERIES: dict[str, Callable[[KafkaSettings, StreamSettings], Delivery]] = {
    "at-least-once": AtLeastOnce,
    "exactly-once": ExactlyOnce,
}


def choose(kafka: KafkaSettings, stream: StreamSettings) -> Delivery:
    """Return the delivery that `stream.delivery` names."""
    return DELIVERIES[stream.delivery](kafka, stream)
