"""Define the errors of Java, Spark, its executors and its checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.errors.base import ConfigurationError, TidemillError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class JavaNotFound(ConfigurationError):
    """There is no Java that Spark can run on."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"Spark needs Java 17 or 21, but {problem}",
            "Install one (Debian, Ubuntu: apt-get install openjdk-17-jre-headless), or set "
            "JAVA_HOME.",
        )


class JvmExited(TidemillError):
    """The Java process that runs Spark has ended."""

    def __init__(self) -> None:
        super().__init__(
            "the Java process that runs Spark has ended: it was killed, or it ran out of memory",
            "Look for an out-of-memory kill, and raise spark.driver.memory or the container's "
            "limit if there was one.",
        )


class QueryFailed(TidemillError):
    """Spark failed with an error that Tidemill does not recognize."""

    def __init__(self, cause: str) -> None:
        super().__init__(
            f"the Spark query failed: {cause}",
            "Set log.level to DEBUG to see the whole traceback.",
        )


class ArtifactsUnavailable(TidemillError):
    """Java artifacts could not be downloaded."""

    def __init__(self, coordinates: Iterable[str], reason: str) -> None:
        super().__init__(
            f"cannot download {', '.join(coordinates)}: {reason}",
            "The first start needs network access; later starts use the downloaded "
            "files. Without a network, put the jars into pyspark's jars folder.",
        )


class MissingOnExecutors(ConfigurationError):
    """Executors cannot import a module that the driver can."""

    def __init__(self, module: str, hosts: Sequence[str] = ()) -> None:
        names = f" ({', '.join(hosts)})" if hosts else ""
        super().__init__(
            f"the Python module {module} is missing on Spark's executors{names}",
            "The driver has it. Send it along (spark-submit --py-files FILE.py,PACKAGES.zip), or "
            "install it on every executor.",
        )


class ExecutorsUnfit(ConfigurationError):
    """Executors have a different version of Tidemill from the driver, or lack its dependencies."""

    def __init__(self, reason: str, hosts: Iterable[str]) -> None:
        super().__init__(
            f"Spark's executors ({', '.join(hosts)}) cannot import Tidemill: {reason}",
            "Install the driver's version of Tidemill, with its dependencies, on every executor.",
        )


class CheckpointUnsupported(ConfigurationError):
    """pyarrow does not support the checkpoint's file system."""

    def __init__(self, location: str, reason: object) -> None:
        super().__init__(
            f"pyarrow cannot reach {location}: {str(reason).partition(chr(10))[0]}",
            "Choose a stream.checkpoint_location that pyarrow reads too: a local path, hdfs://, "
            "s3://, gs:// or abfs://.",
        )


class CheckpointInUse(ConfigurationError):
    """Two jobs share a checkpoint."""

    def __init__(self, checkpoint: str) -> None:
        super().__init__(
            f"another job uses the checkpoint {checkpoint}",
            "Stop that job, or give this one its own stream.checkpoint_location and group_id.",
        )


class CheckpointDamaged(ConfigurationError):
    """A file of the checkpoint is missing, or is not as Spark wrote it."""

    def __init__(self, checkpoint: str, damage: str) -> None:
        super().__init__(
            f"the checkpoint {checkpoint} is damaged: {damage}",
            "Restore a whole copy of the checkpoint, or set a new stream.checkpoint_location. From "
            "a new one, an exactly-once job continues at the group's offsets; an at-least-once "
            "job starts at stream.starting_offsets (`tidemill lag` shows the group's offsets).",
        )


class StopNotAcknowledged(TidemillError):
    """No job answered `tidemill stop`."""

    def __init__(self, marker: str, seconds: float) -> None:
        super().__init__(
            f"no running job acknowledged the stop request ({marker}) within {seconds:g} s",
            "Check that a job runs with this stream.checkpoint_location.",
        )


class TimestampOverflow(TidemillError):
    """The timestamp of a record is later than Spark can hold."""

    def __init__(self) -> None:
        super().__init__(
            "a record's timestamp is later than Spark can hold (the year 294247)",
            "It stops Spark's Kafka source. Skip the record with kafka-delete-records.sh, and set "
            "message.timestamp.after.max.ms on the input topics to keep such records out.",
        )
