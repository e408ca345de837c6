"""Who is in a consumer group.

Kafka takes offsets for a group with members from these only. The job reads by assigned partitions
and is no member, so whoever joins its group keeps it from committing.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from kafka.errors import IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError

from tidemill.errors import GroupInUse
from tidemill.kafka.client_options import LIBRDKAFKA_LOGGER, librdkafka_options

if TYPE_CHECKING:
    from tidemill.settings import KafkaSettings

PATIENCE_S = 8.0
# How Kafka refuses a commit to a group with members; the second while these join or leave.
MEMBERS_ONLY = (UnknownMemberIdError, RebalanceInProgressError, IllegalGenerationError)


def members(kafka: KafkaSettings, group: str) -> list[str]:
    """Return the client id and host of each member of a group, of any kind of protocol.

    Raises:
        KafkaException: The broker does not answer, or refuses.

    """
    # Not kafka-python: it sees no members of the newer protocol (KIP-848).
    options = {**librdkafka_options(kafka), "error_cb": lambda _: None}
    admin = AdminClient(options, logger=LIBRDKAFKA_LOGGER)
    (answer,) = admin.describe_consumer_groups([group], request_timeout=PATIENCE_S).values()
    try:
        found = answer.result().members
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return []
        raise
    return sorted({f"{member.client_id} at {member.host.removeprefix('/')}" for member in found})


def require_none(kafka: KafkaSettings, group: str) -> None:
    """Do nothing if a group has no members, or we may not ask.

    Raises:
        GroupInUse: It has some, so that nothing could be committed to it.

    """
    with suppress(KafkaException):
        if found := members(kafka, group):
            raise GroupInUse(group, found)


def in_use(kafka: KafkaSettings, group: str) -> GroupInUse:
    """Return the error of a commit that Kafka refused because the group has members."""
    try:
        found = members(kafka, group)
    except KafkaException:  # perhaps we may not ask
        found = []
    return GroupInUse(group, found)
