"""Define the errors of Kafka: brokers, topics, consumer groups, records."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tidemill.errors.base import ConfigurationError, SeveralProblems, TidemillError

if TYPE_CHECKING:
    from collections.abc import Iterable


class KafkaAuthFailed(ConfigurationError):
    """Kafka answers, but refuses the credentials or certificates."""

    def __init__(self, bootstrap_servers: str, reason: object) -> None:
        super().__init__(
            f"Kafka at {bootstrap_servers} refuses the connection: {reason}",
            "Check the user, password or certificates in the settings under kafka.",
        )


class BrokerUnreachable(TidemillError):
    """Kafka does not answer."""

    def __init__(self, bootstrap_servers: str, cause: object) -> None:
        super().__init__(
            f"no answer from Kafka at {bootstrap_servers}: {cause}",
            "Check that the broker runs, kafka.bootstrap_servers, and the security settings.",
        )


class AdvertisedUnreachable(BrokerUnreachable):
    """A bootstrap server answers, but an address that a broker advertises cannot be reached."""

    def __init__(self, bootstrap_servers: str, brokers: Iterable[str]) -> None:
        TidemillError.__init__(
            self,
            f"Kafka answers at {bootstrap_servers}, but {', '.join(brokers)}",
            "Correct advertised.listeners on the broker, or make that address reachable from here.",
        )


class TokenUnavailable(BrokerUnreachable):
    """The OAuth endpoint gives no token for Kafka."""

    def __init__(self, url: str | None, cause: object) -> None:
        TidemillError.__init__(
            self, f"no OAuth token from {url}: {cause}", "Check the kafka.oauth_* settings."
        )


class Problem(NamedTuple):
    """Something about a topic that would stop the job, and the command or setting that helps."""

    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.text}: {self.remedy}" if self.remedy else self.text


class InvalidTopics(SeveralProblems):
    """With these topics the job cannot promise one outcome for every message."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        listed = list(problems)
        again = "`tidemill check` checks the topics without starting the job."
        if len(listed) == 1 and listed[0].remedy:
            super().__init__("the topics do not fit", [listed[0].text], listed[0].remedy)
        else:
            super().__init__("the topics do not fit", listed, again)


class NoInputTopic(ConfigurationError):
    """There is no input topic."""

    def __init__(self, named: object) -> None:
        super().__init__(
            f"there is no input topic {named}, or no right to see it",
            "Check stream.input_topics or stream.input_pattern, and kafka.bootstrap_servers.",
        )


class OffsetsBeyondEnd(ConfigurationError):
    """A table of the store has read a partition beyond its end."""

    def __init__(self, partition: str, offset: int, end: int) -> None:
        super().__init__(
            f"{partition} ends at offset {end}, but the table has it up to {offset}: the topic was "
            "created again",
            "Load or create the table under another name, and follow the new topic into it.",
        )


class InvalidStartingOffsets(ConfigurationError):
    """The setting stream.starting_offsets does not fit the topics."""

    def __init__(self, partition: tuple[str, int], reason: str) -> None:
        super().__init__(
            f"stream.starting_offsets: {partition[0]}/{partition[1]} {reason}",
            "-2 means earliest, -1 latest. Partitions that the setting leaves out start at the "
            "earliest offset.",
        )


class TopicRecreated(ConfigurationError):
    """An input topic is not the one whose offsets the checkpoint and the group hold."""

    def __init__(self, topic: str) -> None:
        super().__init__(
            f"the topic {topic} was deleted and created again, so its offsets count other messages",
            "To answer the new topic from its start, set a new stream.checkpoint_location; or, if "
            "there are other inputs, start the job once without the topic and then with it. If "
            "the group still has offsets of the old topic, delete them first: "
            f"kafka-consumer-groups.sh --delete-offsets --topic {topic}",
        )


class InputTopicRemoved(ConfigurationError):
    """A topic of the checkpoint is no longer an input, but has unanswered messages."""

    def __init__(self, partition: tuple[str, int], offset: int, *, exists: bool) -> None:
        topic, number = partition
        change, remedy = (
            ("is no longer an input", "Put it back until all its messages are answered.")
            if exists
            else ("was deleted", "Its unanswered messages are lost with it.")
        )
        super().__init__(
            f"the topic {topic} {change}, but partition {number} is unanswered from {offset} on",
            f"{remedy} To continue without them, start the job once with "
            "stream.fail_on_data_loss: false.",
        )


class DataLoss(TidemillError):
    """Kafka no longer holds records that the job has not answered."""

    def __init__(self, checkpoint: str) -> None:
        super().__init__(
            "Kafka no longer holds some records that the job has not answered yet",
            "Retention deleted them, or a topic was deleted or created again. Lengthen the topic's "
            "retention. To accept the loss, set stream.fail_on_data_loss: false. If a topic was "
            f"created again, set a new stream.checkpoint_location (now {checkpoint}).",
        )


class TopicDeleted(TidemillError):
    """A topic was deleted while the job ran."""

    def __init__(self) -> None:
        super().__init__(
            "a topic was deleted while the job ran",
            "Check that the input and output topics exist.",
        )


class RecordRefused(TidemillError):
    """A topic refused a record that fits the settings that the job read at its start."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"a topic refuses a record: {reason}",
            "If the topic's settings were changed while the job ran, restart the job: it reads "
            "them at its start.",
        )


class GroupInUse(TidemillError):
    """Other consumers are members of the group that the job commits to."""

    def __init__(self, group: str, members: Iterable[str]) -> None:
        names = ", ".join(members)
        super().__init__(
            f"the consumer group {group} has members{f' ({names})' if names else ''}",
            "Kafka takes a group's offsets only from its members, so the group's lag stands still. "
            "Stop them, or give them their own group.id.",
        )


class TopicMissing(ConfigurationError):
    """A topic that a batch reads does not exist."""

    def __init__(
        self, topic: str, hint: str = "Check the name, and kafka.bootstrap_servers."
    ) -> None:
        super().__init__(f"there is no topic {topic}, or no right to see it", hint)


class NotSent(TidemillError):
    """A batch's results were not sent to Kafka, or it is not known whether they were."""

    def __init__(self, topic: str, cause: object) -> None:
        super().__init__(
            f"could not send the results to {topic}: {cause}",
            "Readers with isolation.level=read_committed see all of them or none. The same command "
            "finds out which, and sends them if they are missing.",
        )


class SendingTooLong(NotSent):
    """Kafka has aborted a batch's transaction because it took too long."""

    def __init__(self, topic: str, seconds: int, setting: str) -> None:
        TidemillError.__init__(
            self,
            f"sending the results to {topic} took longer than {seconds} s, so Kafka sent none",
            f"Raise {setting} on the brokers and run the command again, or answer a shorter range.",
        )
