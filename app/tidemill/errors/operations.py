"""Define the errors of probes, and of listing and replaying dead letters."""

from __future__ import annotations

from tidemill.errors.base import ConfigurationError, TidemillError


class MetricsPortTaken(TidemillError):
    """Another program listens on the port for /metrics and the probes."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"{host}:{port}, the address for /metrics and the probes, is in use",
            "Another job or this job's predecessor may use it. Set monitoring.metrics_port (a "
            "worker's is tasks.metrics_port) to another port; 0: any free one, null: none.",
        )


class UnexpectedJob(TidemillError):
    """A probe reached another job than it should."""

    def __init__(self, host: str, port: int, found: str, wanted: str) -> None:
        answering = f"the job of group {found!r}" if found else "another program"
        super().__init__(
            f"at {host}:{port} answers {answering}, not that of {wanted!r}",
            "Check stream.group_id and monitoring.metrics_port.",
        )


class ProbeFailed(TidemillError):
    """No job answers a probe."""

    def __init__(self, host: str, port: int, reason: object) -> None:
        super().__init__(
            f"no job answers at {host}:{port}: {reason}",
            "Check that the job runs, with the same settings under monitoring.",
        )


class NoDeadLetterTopic(ConfigurationError):
    """The dead-letter topic does not exist."""

    def __init__(self, topic: str) -> None:
        super().__init__(
            f"there is no topic {topic}, or no right to see it",
            "Check stream.dead_letter_topic. `tidemill check` prints the command that creates it.",
        )


class NoDeadLetter(ConfigurationError):
    """There is no dead letter at the given place."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(
            f"no dead letter at {place}: {reason}", "`tidemill dlq list` shows the dead letters."
        )


class NoRecord(ConfigurationError):
    """There is no record at the place that a command names."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(
            f"no record at {place}: {reason}",
            "Name a record as --topic TOPIC --partition PARTITION --offset OFFSET.",
        )


class NoLine(ConfigurationError):
    """A file has no message at the line that a command names."""

    def __init__(self, file: object, line: int, reason: str) -> None:
        super().__init__(
            f"no message in line {line} of {file}: {reason}",
            "Lines count from 1, and blank lines count too.",
        )


class MessageOmitted(ConfigurationError):
    """A dead letter does not hold its message, because it had no room for it."""

    def __init__(self, place: str, source: str, remedy: str) -> None:
        super().__init__(f"the dead letter {place} does not hold its message {source}", remedy)


class InvalidSelection(ConfigurationError):
    """A word that selects messages or dead letters is malformed."""

    def __init__(self, text: str, expected: str, advice: str) -> None:
        super().__init__(f"{text!r} is not {expected}", advice)


class NotDelivered(TidemillError):
    """Some selected dead letters could not be sent again."""

    def __init__(self, missing: int, chosen: int) -> None:
        super().__init__(
            f"{missing} of {chosen} dead letters were not delivered, for the reasons above",
            "None is lost: the same command tries these again.",
        )
