"""Every error that Tidemill raises on purpose: one root, named leaves.

A leaf builds its own message: what was wrong, where, and what to do. `ConfigurationError` marks
what a restart cannot mend, `MessageError` what is wrong with one message and becomes a dead letter.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


# What a traceback may take in the log, and on its way from another process.
MAX_FRAMES, MAX_LINES, MAX_LINE = 30, 300, 1000


class TidemillError(Exception):
    """Anything that Tidemill can name; a fault that a restart may mend unless a leaf says so."""

    def __reduce__(self) -> tuple[object, ...]:
        cause = self.__cause__
        return in_words, (type(self), str(self), None if cause is None else trace(cause))


def in_words(leaf: type[TidemillError], words: str, cause: str | None = None) -> TidemillError:
    """Return an error that says this; a leaf's constructor takes what it builds its words from.

    `cause` is the traceback of what caused it in another process.
    """
    error = leaf.__new__(leaf, words)
    if cause is not None:
        error.__cause__ = RemoteTraceback(cause)
    return error


class RemoteTraceback(TidemillError):
    """What was raised in another process: its traceback, as text."""


# --- wrong configuration: exit code 2, a restart cannot help ------------------------------------


class ConfigurationError(TidemillError):
    """The settings, the models' file or the topics are not as they must be."""


class InvalidSettings(ConfigurationError):
    """A setting is unknown or has a wrong value."""

    def __init__(self, source: str, problems: Iterable[str]) -> None:
        super().__init__(f"wrong settings ({source}): " + "; ".join(problems))


class SettingsFileUnreadable(ConfigurationError):
    """A YAML file is missing or is not a YAML mapping."""

    def __init__(self, path: object, reason: object) -> None:
        super().__init__(f"cannot read {path}: {reason}")


class InvalidModels(ConfigurationError):
    """models.yaml describes a model that cannot be."""

    def __init__(self, source: object, problem: object) -> None:
        super().__init__(f"{source}: {problem}")


class ModelMisconfigured(ConfigurationError):
    """A model's class cannot be imported or constructed."""

    def __init__(self, model: str, adapter: str, cause: BaseException) -> None:
        super().__init__(
            f"model {model} ({adapter}) does not load: {describe(cause)}; "
            "check the entry's adapter and options, and that its module is installed or on "
            "PYTHONPATH"
        )


class MissingOnExecutors(ConfigurationError):
    """Executors cannot import a module that the driver can."""

    def __init__(self, module: str, hosts: Sequence[str] = ()) -> None:
        on = f" ({', '.join(hosts)})" if hosts else ""
        super().__init__(
            f"the Python module {module} is missing on Spark's executors{on}, though the driver "
            "has it: send it along (spark-submit --py-files FILE.py,PACKAGES.zip), or install it "
            "on every executor"
        )


class ExecutorsUnfit(ConfigurationError):
    """Executors have another Tidemill than the driver, or lack what it needs."""

    def __init__(self, reason: str, hosts: Iterable[str]) -> None:
        super().__init__(
            f"Tidemill cannot be imported on Spark's executors ({', '.join(hosts)}): {reason}; "
            "give them the driver's version, and the packages that it needs"
        )


class InvalidTopics(ConfigurationError):
    """The topics cannot keep the promise of one outcome for every message."""

    def __init__(self, problems: Iterable[str]) -> None:
        super().__init__("the topics do not fit: " + "; ".join(problems))


class KafkaAuthFailed(ConfigurationError):
    """Kafka answers, and refuses the credentials or certificates."""

    def __init__(self, bootstrap_servers: str, reason: object) -> None:
        super().__init__(
            f"Kafka at {bootstrap_servers} refuses the connection: {reason}; "
            "check the user, password or certificates of the section kafka"
        )


class NoValueColumn(ConfigurationError):
    """A DataFrame has nothing to answer."""

    def __init__(self, columns: Iterable[str]) -> None:
        super().__init__(
            "the DataFrame needs a column 'value' of type binary or string, it has "
            f"{', '.join(columns) or 'none'}"
        )


class WrongColumnType(ConfigurationError):
    """A DataFrame's column has the name of a record's column, and another type."""

    def __init__(self, columns: Iterable[tuple[str, str, str]]) -> None:
        super().__init__(
            "; ".join(
                f"the column {name!r} is {found} and must be {needed}"
                for name, found, needed in columns
            )
        )


class JavaNotFound(ConfigurationError):
    """No Java that Spark can run on."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"Spark needs Java 17 or 21, {found}: install one "
            "(Debian, Ubuntu: apt-get install openjdk-17-jre-headless) or set JAVA_HOME"
        )


class CheckpointUnsupported(ConfigurationError):
    """The checkpoint is on a file system that only Spark reaches."""

    def __init__(self, location: str, reason: object) -> None:
        first = str(reason).partition("\n")[0]
        super().__init__(f"pyarrow does not reach {location}: {first}")


class CheckpointInUse(ConfigurationError):
    """Two jobs share a checkpoint."""

    def __init__(self, checkpoint: str) -> None:
        super().__init__(
            f"another job runs on the checkpoint {checkpoint}: stop it, or give this one a "
            "stream.checkpoint_location and group_id of its own"
        )


class CheckpointDamaged(ConfigurationError):
    """A file of a checkpoint is missing, or is not as Spark wrote it."""

    def __init__(self, checkpoint: str, what: str) -> None:
        super().__init__(
            f"the checkpoint {checkpoint} is damaged: {what}. Put a whole copy in its place, or "
            "set a new stream.checkpoint_location: with exactly-once the job goes on at the "
            "group's offsets; with at-least-once it starts at stream.starting_offsets, and "
            "`tidemill lag` shows how far the group is"
        )


class MetricsAddressUnusable(ConfigurationError):
    """The address for /metrics and the probes can never be listened on."""

    def __init__(self, host: str, port: int, reason: object) -> None:
        super().__init__(
            f"cannot listen on {host}:{port} for /metrics and the probes: {reason}; set "
            "monitoring.metrics_host to 127.0.0.1, 0.0.0.0 or an address of this machine"
        )


class MetricsPortUnset(ConfigurationError):
    """A probe cannot know where to ask."""

    def __init__(self, port: int | None) -> None:
        said = "null" if port is None else port
        super().__init__(
            f"monitoring.metrics_port is {said}: give it a number, the job and the probe the same"
        )


class InputUnreadable(ConfigurationError):
    """A batch's input is missing or of no known format."""

    def __init__(self, path: object, reason: object) -> None:
        super().__init__(f"cannot read {path}: {reason}")


class OutputExists(ConfigurationError):
    """A batch's output folder is there already."""

    def __init__(self, path: object) -> None:
        super().__init__(f"{path} exists already: name another output or remove it")


class InvalidProjectName(ConfigurationError):
    """A new model's folder has a name that cannot be a Python module's."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"{name!r} cannot be a model's name: {reason}; choose words such as my-model"
        )


class FolderExists(ConfigurationError):
    """The folder of a new model is there already."""

    def __init__(self, path: object) -> None:
        super().__init__(f"{path} exists already: choose another name or remove it")


class OutputUnusable(ConfigurationError):
    """A batch's output cannot be written there."""

    def __init__(self, path: object, reason: object) -> None:
        super().__init__(f"cannot write to {path}: {reason}; name another output")


class NoDeadLetterTopic(ConfigurationError):
    """The topic of the dead letters is not there."""

    def __init__(self, topic: str) -> None:
        super().__init__(
            f"there is no topic {topic} (or no right to see it): check stream.dead_letter_topic, "
            "and run `tidemill check`, which prints the command that makes it"
        )


class NoDeadLetter(ConfigurationError):
    """There is no dead letter where one was asked for."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(
            f"no dead letter at {place}: {reason}; `tidemill dlq list` shows which there are"
        )


class NoInputTopic(ConfigurationError):
    """There is nothing whose lag could be seen."""

    def __init__(self, named: object) -> None:
        super().__init__(
            f"there is no input topic {named}, or no right to see it: check stream.input_topics "
            "or stream.input_pattern, and kafka.bootstrap_servers"
        )


class InvalidSelection(ConfigurationError):
    """A word on the command line that chooses dead letters is not written as it must be."""

    def __init__(self, text: str, hint: str) -> None:
        super().__init__(f"{text!r} is not {hint}")


class SpeculationEnabled(ConfigurationError):
    """Spark may run a task twice at a time, which then fence one another."""

    def __init__(self) -> None:
        super().__init__(
            "spark.speculation is true, and with stream.delivery exactly-once two attempts at a "
            "task would keep fencing one another: set it to false"
        )


class GroupHasMembers(ConfigurationError):
    """Another consumer commits to the job's consumer group."""

    def __init__(self, group: str, members: Iterable[str]) -> None:
        super().__init__(
            f"the consumer group {group} has members ({', '.join(members)}), and exactly-once "
            "needs it for itself: stop them, or set another stream.group_id"
        )


class Superseded(ConfigurationError):
    """A later run of the job, or another job with its group, has taken over."""

    def __init__(self) -> None:
        super().__init__(
            "another job has taken over this one's consumer group, and goes on with it: nothing is "
            "lost; where both are wanted, give each a stream.group_id of its own"
        )


class TopicRecreated(ConfigurationError):
    """An input topic is not the one whose offsets the checkpoint and the group hold."""

    def __init__(self, topic: str) -> None:
        super().__init__(
            f"the topic {topic} was deleted and made anew: its offsets count other messages now. "
            "To answer those from the first on, set a new stream.checkpoint_location; or, if there "
            "are other inputs, start the job once without the topic, then with it. If the group "
            "still has offsets of the old topic, delete them first: "
            f"kafka-consumer-groups.sh --delete-offsets --topic {topic}"
        )


class InputTopicRemoved(ConfigurationError):
    """A topic of the checkpoint is no longer an input, and has unanswered messages."""

    def __init__(self, at: tuple[str, int], offset: int, *, exists: bool) -> None:
        what, remedy = (
            ("is no longer an input", "put it back until all its messages are answered")
            if exists
            else ("was deleted", "what was left of them is lost with it")
        )
        super().__init__(
            f"the topic {at[0]} {what}, and its messages from offset {offset} of partition {at[1]} "
            f"on are not answered: {remedy}. To go on without them, start the job once with "
            "stream.fail_on_data_loss: false"
        )


class InvalidStartingOffsets(ConfigurationError):
    """The setting stream.starting_offsets does not fit the topics."""

    def __init__(self, at: tuple[str, int], reason: str) -> None:
        super().__init__(
            f"stream.starting_offsets: {at[0]}/{at[1]} {reason}; partitions that it does not name "
            "start at the earliest offset (-2: earliest, -1: latest)"
        )


class GroupOffsetsChanged(ConfigurationError):
    """Something else has set the group's offset."""

    def __init__(self, at: tuple[str, int], offset: int) -> None:
        super().__init__(
            f"the group's offset of {at[0]}/{at[1]} ({offset}) was set by something else than an "
            "exactly-once run. What it passed over will never be answered: where any partition's "
            "offset is beyond one more than the largest tidemill.source.offset of its outcomes, "
            "set it back (kafka-consumer-groups.sh --reset-offsets); then set a new "
            "stream.checkpoint_location, which starts at the group's offsets"
        )


class GroupOffsetLost(ConfigurationError):
    """The group has no offset any more where it had one."""

    def __init__(self, at: tuple[str, int]) -> None:
        super().__init__(
            f"the group has no offset of {at[0]}/{at[1]} any more. Where the topic was deleted and "
            "made anew, set a new stream.checkpoint_location. Where the offset was deleted, or "
            "has expired (Kafka keeps it for offsets.retention.minutes after the job ended), set "
            "it first, with kafka-consumer-groups.sh --reset-offsets, to one more than the "
            "largest tidemill.source.offset among results and dead letters, and then set a new "
            "stream.checkpoint_location"
        )


class GroupBehindCheckpoint(ConfigurationError):
    """The checkpoint has passed over messages that the group says are not answered."""

    def __init__(self, at: tuple[str, int], group: int, checkpoint: int) -> None:
        super().__init__(
            f"the checkpoint goes on at offset {checkpoint} of {at[0]}/{at[1]}, the group at "
            f"{group}, and there are messages between: set a new stream.checkpoint_location, "
            "where the job starts at the group's offsets"
        )


class DeliveryModeChanged(ConfigurationError):
    """A checkpoint and a group are of different ways of delivery."""

    def __init__(self, checkpoint: str, now: str) -> None:
        super().__init__(
            f"the checkpoint {checkpoint} and the group's offsets are not both of stream.delivery "
            f"{now}: it was changed (end the old job in order first), or somebody has set the "
            "offsets. Set a new stream.checkpoint_location, which starts at the group's offsets"
        )


# --- faults: exit code 1, worth a restart -------------------------------------------------------


class ModelUnavailable(TidemillError):
    """The model fails on its own sample too: an outage, not bad input. Nothing is dead-lettered."""

    def __init__(self, model: str, cause: object) -> None:
        super().__init__(f"model {model} is down, it fails on its own sample: {cause}")


class ModelLoadFailed(TidemillError):
    """A model's constructor failed on what it needs: a file, a server, memory."""

    def __init__(self, model: str, cause: BaseException) -> None:
        super().__init__(
            f"model {model} did not load: {describe(cause)}; check the entry's options, and that "
            "what it needs is there"
        )


class BrokerUnreachable(TidemillError):
    """Kafka does not answer."""

    def __init__(self, bootstrap_servers: str, cause: object) -> None:
        super().__init__(
            f"no answer from Kafka at {bootstrap_servers}: {cause}; "
            "check kafka.bootstrap_servers, the security settings and that the broker runs"
        )


class AdvertisedUnreachable(BrokerUnreachable):
    """A bootstrap server answers, and an address that a broker advertises cannot be reached."""

    def __init__(self, bootstrap_servers: str, brokers: Iterable[str]) -> None:
        TidemillError.__init__(
            self,
            f"Kafka answers at {bootstrap_servers}, but {', '.join(brokers)}: correct "
            "advertised.listeners of the broker, or make that address reachable from here",
        )


class TokenUnavailable(BrokerUnreachable):
    """The OAuth endpoint gives no token to log in to Kafka with."""

    def __init__(self, url: str | None, cause: object) -> None:
        TidemillError.__init__(
            self, f"no OAuth token from {url}: {cause}; check the kafka.oauth_… settings"
        )


class GroupInUse(TidemillError):
    """Other consumers are members of a group that commits are for."""

    def __init__(self, group: str, members: Iterable[str]) -> None:
        named = ", ".join(members)
        super().__init__(
            f"the consumer group {group} has members{f' ({named})' if named else ''}, and Kafka "
            "takes offsets for it from these only, so the group's lag stands still: stop them, or "
            "give them a group.id of their own"
        )


class DataLoss(TidemillError):
    """Kafka no longer has records that the checkpoint has not answered."""

    def __init__(self, checkpoint: str) -> None:
        super().__init__(
            "Kafka no longer holds records that were not answered yet (retention passed over them, "
            "or a topic was deleted or made anew): lengthen the topic's retention; to accept the "
            "loss set stream.fail_on_data_loss: false; where a topic was made anew, set a new "
            f"stream.checkpoint_location (now {checkpoint})"
        )


class TopicDeleted(TidemillError):
    """Spark's query ended because a topic is gone."""

    def __init__(self) -> None:
        super().__init__(
            "a topic was deleted while the job ran: check that the input and output topics exist"
        )


class TransactionFailed(TidemillError):
    """A transaction was not committed, or nobody can tell."""

    def __init__(self, at: tuple[str, int], cause: object) -> None:
        super().__init__(f"the transaction for {at[0]}/{at[1]} failed: {cause}")


class RecordRefused(TidemillError):
    """A topic refused a record, although it should have taken it."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"a topic refuses a record: {reason}. If its settings were changed while the job ran, "
            "start the job again: it reads them as it starts"
        )


class TimestampOverflow(TidemillError):
    """A record's timestamp overflows Spark's."""

    def __init__(self) -> None:
        super().__init__(
            "a record's timestamp is later than Spark can hold (the year 294247), which stops the "
            "Kafka source: pass over the record with kafka-delete-records.sh, and keep others out "
            "with message.timestamp.after.max.ms on the input topics"
        )


class JvmExited(TidemillError):
    """The Java process that runs Spark is gone."""

    def __init__(self) -> None:
        super().__init__("Java, which runs Spark, has ended: it was killed, or ran out of memory")


class QueryFailed(TidemillError):
    """Spark ended with an error that has no better name here."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"Spark could not go on: {cause}")


class ArtifactsUnavailable(TidemillError):
    """Java artifacts could not be fetched."""

    def __init__(self, coordinates: Iterable[str], reason: str) -> None:
        super().__init__(
            f"cannot fetch {', '.join(coordinates)}: {reason}; it takes a network once "
            "(later starts use the copy), or the jars in pyspark's own jars folder"
        )


class MetricsPortTaken(TidemillError):
    """Another program listens where /metrics and the probes should be."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"{host}:{port} is in use, by another job or this one's predecessor: set "
            "monitoring.metrics_port (0: any port that is free, null: none)"
        )


class UnexpectedJob(TidemillError):
    """A probe reached a job that is not meant."""

    def __init__(self, host: str, port: int, found: str, wanted: str) -> None:
        super().__init__(
            f"at {host}:{port} answers {f'the job of group {found!r}' if found else 'no job'}, not "
            f"that of {wanted!r}: check stream.group_id and monitoring.metrics_port"
        )


class ProbeFailed(TidemillError):
    """No job answers a probe."""

    def __init__(self, host: str, port: int, reason: object) -> None:
        super().__init__(
            f"no job answers at {host}:{port}: {reason}; does it run, with these settings of the "
            "section monitoring?"
        )


class StopNotAcknowledged(TidemillError):
    """No job answered `tidemill stop`."""

    def __init__(self, marker: str, seconds: float) -> None:
        super().__init__(
            f"no job took the stop marker {marker} within {seconds:g} s: is one running with this "
            "checkpoint location?"
        )


class NotDelivered(TidemillError):
    """Dead letters were chosen, and could not be sent again."""

    def __init__(self, missing: int, chosen: int) -> None:
        super().__init__(
            f"{missing} of {chosen} dead letters were not delivered, for the reasons above; none "
            "is lost: the same command tries these again"
        )


# --- one message is wrong: a dead letter, its class name in a header ----------------------------


class MessageError(TidemillError):
    """This message has no answer; the others of its batch are untouched."""


class NullValue(MessageError):
    """The record has no value (a tombstone)."""

    def __init__(self) -> None:
        super().__init__("the record's value is null")


class InvalidUtf8(MessageError):
    """The value is not UTF-8."""

    def __init__(self, cause: UnicodeDecodeError) -> None:
        begins = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x1f\x8b": "gzip"}
        looks = begins.get(cause.object[:2])
        hint = f"; it looks like {looks}" if looks else ""
        super().__init__(f"the value is not UTF-8: {cause.reason} at byte {cause.start}{hint}")


class InvalidJson(MessageError):
    """The value is not a JSON object."""

    def __init__(self, reason: object) -> None:
        super().__init__(f"the value is not a JSON object: {reason}")


class MissingField(MessageError):
    """A field that the message needs is absent or null."""

    def __init__(self, field: str) -> None:
        super().__init__(f"the field {field!r} is missing or null")


class WrongType(MessageError):
    """The field that is the model's input is not text."""

    def __init__(self, field: str, value: str) -> None:
        super().__init__(f"the field {field!r} must be text, not {json_type(value)}")


class NoModel(MessageError):
    """No model answers such a message."""

    def __init__(self, fields: dict[str, str]) -> None:
        wanted = ", ".join(
            f"{name}={' '.join(value[:200].split())}" for name, value in fields.items()
        )
        super().__init__(f"no model answers messages with {wanted}")


class InputTooLong(MessageError):
    """The model's input is longer than its entry allows."""

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(f"the input has {length} characters, the model takes {limit}")


class PredictionFailed(MessageError):
    """The model raised on this input, alone too."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(describe(cause))
        self.__cause__ = cause


class ModelCrashed(MessageError):
    """The model's process ended on this input, alone too."""

    def __init__(self, code: int) -> None:
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        super().__init__(f"the model's process ended {how}")


class ModelTimedOut(MessageError):
    """The model gave no answer to this input, alone too."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer within {seconds:g} s")


class WrongOutputCount(MessageError):
    """The model returned too few or too many outputs for this input, alone too."""

    def __init__(self, inputs: int, outputs: object) -> None:
        super().__init__(f"the model returned {outputs} for {inputs} input(s)")


class InvalidOutput(MessageError):
    """The model's output is not one JSON value."""

    def __init__(self, reason: object, output: str = "") -> None:
        begin = f"; it begins with {output[:200]!r}" if output else ""
        super().__init__(f"the model's output is not a JSON value: {reason}{begin}")


class ResultTooLarge(MessageError):
    """The result is larger than its topic takes."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"the result takes {size} bytes uncompressed, and as its topic stores it more than "
            f"the limit of {limit}"
        )


class KeyRequired(MessageError):
    """The result's topic is compacted, and takes no record without a key."""

    def __init__(self) -> None:
        super().__init__("the message has no key, and the output topic is compacted: it needs one")


def json_type(text: str) -> str:
    """Name the type of a JSON text as JSON does (RFC 8259, section 3), by its first character."""
    names = {
        "n": "null",
        "t": "boolean",
        "f": "boolean",
        "{": "object",
        "[": "array",
        '"': "string",
    }
    return names.get(text.lstrip()[:1], "number")


def root(error: BaseException) -> BaseException:
    """Return what an exception is about, without the layers around it."""
    while error.__context__ is not None:
        error = error.__context__
    return error


def describe(cause: BaseException) -> str:
    """Name an exception in one line: its type and what it says."""
    try:
        text = " ".join(str(cause).split())
    except Exception:  # noqa: BLE001 - a model's exception may fail to print itself
        text = "(it does not print)"
    return f"{type(cause).__name__}: {text}" if text else type(cause).__name__


def trace(cause: BaseException) -> str:
    """Return an exception's traceback, cut where it is long.

    Release what its frames hold: a model may hold much.
    """
    if isinstance(cause, RemoteTraceback):
        return str(cause)
    traceback.clear_frames(cause.__traceback__)
    try:
        text = "".join(traceback.format_exception(cause, limit=-MAX_FRAMES))
    except Exception as error:  # noqa: BLE001 - a model's exception may fail to print itself
        text = f"{type(cause).__name__} has no traceback: {describe(error)}"
    return "\n".join(line[:MAX_LINE] for line in text.splitlines()[:MAX_LINES])
