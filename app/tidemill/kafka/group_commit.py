"""Commit offsets to a consumer group from outside the group."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import NoError, UnknownTopicOrPartitionError
from kafka.structs import OffsetAndMetadata

from tidemill.kafka.connect import connect, with_coordinator
from tidemill.kafka.members import MEMBERS_ONLY, in_use

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidemill.settings import KafkaSettings


class GroupCommitter:
    """Commit offsets to a group without joining it, so that no rebalance follows."""

    def __init__(self, kafka: KafkaSettings, group_id: str) -> None:
        """Store the connection settings; the first commit connects."""
        self._kafka = kafka
        self._group_id = group_id
        self._admin: KafkaAdminClient | None = None

    def __call__(self, offsets: Mapping[tuple[str, int], int]) -> None:
        """Commit the offset of each topic and partition, and reconnect after an error.

        Skip partitions that no longer exist and commit the others. A consumer's commit would retry
        a missing partition until it times out.

        Raises:
            GroupInUse: Other consumers are members of the group.
            KafkaError: The broker is unreachable or refuses.

        """
        try:
            if self._admin is None:
                self._admin = connect(KafkaAdminClient, self._kafka)
            with_coordinator(partial(_commit, self._admin, self._group_id, offsets))
        except MEMBERS_ONLY as error:
            self.close()
            raise in_use(self._kafka, self._group_id) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        admin, self._admin = self._admin, None
        if admin is not None:
            admin.close()


def _commit(admin: KafkaAdminClient, group_id: str, offsets: Mapping[tuple[str, int], int]) -> None:
    results = admin.alter_group_offsets(
        group_id,
        {
            TopicPartition(*partition): OffsetAndMetadata(offset, "", -1)
            for partition, offset in offsets.items()
        },
    )
    for partition, error in results.items():
        if error not in {NoError, UnknownTopicOrPartitionError}:
            raise error(f"{partition.topic}/{partition.partition}")
