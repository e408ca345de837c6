"""Find the members of a consumer group.

If a group has members, Kafka accepts offsets for it only from them. The job assigns its partitions
itself and is no member, so a consumer that joins the group keeps the job from committing.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException
from kafka.errors import IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError

from tidemill.errors import GroupInUse
from tidemill.kafka.clients import create_admin

if TYPE_CHECKING:
    from tidemill.settings import KafkaSettings

REQUEST_TIMEOUT_S = 8.0
# Kafka's errors for a commit to a group with members; the second while members join or leave.
MEMBERS_ONLY = (UnknownMemberIdError, RebalanceInProgressError, IllegalGenerationError)


def members(kafka: KafkaSettings, group: str) -> list[str]:
    """Return the client id and host of each member of a group, whatever its group protocol.

    Raises:
        KafkaException: The broker does not answer, or refuses the request.

    """
    # kafka-python does not see members that use the newer protocol (KIP-848).
    admin = create_admin(kafka, {})
    (described,) = admin.describe_consumer_groups(
        [group], request_timeout=REQUEST_TIMEOUT_S
    ).values()
    try:
        group_members = described.result().members
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return []
        raise
    return sorted(
        {f"{member.client_id} at {member.host.removeprefix('/')}" for member in group_members}
    )


def require_none(kafka: KafkaSettings, group: str) -> None:
    """Raise an error if a group has members. Do nothing if the job may not look at the group.

    Raises:
        GroupInUse: It has members, so nothing else can commit to it.

    """
    with suppress(KafkaException):
        if names := members(kafka, group):
            raise GroupInUse(group, names)


def in_use(kafka: KafkaSettings, group: str) -> GroupInUse:
    """Return the error for a commit that Kafka refused because the group has members."""
    try:
        names = members(kafka, group)
    except KafkaException:  # the job may lack the right to look
        names = []
    return GroupInUse(group, names)
