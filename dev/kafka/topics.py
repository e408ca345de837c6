"""Create, change and inspect topics, and read a consumer group's offsets."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import GroupIdNotFoundError, RetriableError

if TYPE_CHECKING:
    from collections.abc import Mapping


def create_topic(
    bootstrap_servers: str,
    name: str,
    *,
    partitions: int = 1,
    replicas: int = 1,
    configs: Mapping[str, str] | None = None,
) -> None:
    """Create a topic and wait until each of its partitions has a leader."""
    topic = {
        "num_partitions": partitions,
        "replication_factor": replicas,
        "configs": dict(configs or {}),
    }
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap_servers)) as admin:
        admin.create_topics({name: topic}, wait_for_metadata=True)


def topic_names(bootstrap_servers: str) -> set[str]:
    """Return the names of all topics."""
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap_servers)) as admin:
        return set(admin.list_topics())


def delete_topic(bootstrap_servers: str, name: str) -> None:
    """Delete a topic and wait until no broker lists it."""
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap_servers)) as admin:
        admin.delete_topics([name])
        while name in admin.list_topics():
            time.sleep(0.05)


def add_partitions(bootstrap_servers: str, name: str, total: int) -> None:
    """Raise a topic's number of partitions to `total` and wait until each has a leader."""
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap_servers)) as admin:
        admin.create_partitions({name: total})
        while not _has_leaders(admin, name, total):
            time.sleep(0.05)


def _has_leaders(admin: KafkaAdminClient, name: str, partitions: int) -> bool:
    (topic,) = admin.describe_topics([name])
    led = [p for p in topic["partitions"] if p["leader_id"] >= 0]
    return len(led) == partitions


def delete_records(bootstrap_servers: str, topic: str, before: Mapping[int, int]) -> None:
    """Delete the records of a topic before an offset in each partition."""
    offsets = {TopicPartition(topic, p): offset for p, offset in before.items()}
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap_servers)) as admin:
        admin.delete_records(offsets)


def end_offsets(bootstrap_servers: str, topic: str) -> dict[int, int]:
    """Return the end offset of each partition: that of the next record."""
    with closing(KafkaConsumer(bootstrap_servers=bootstrap_servers)) as consumer:
        parts = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
        return {part.partition: end for part, end in consumer.end_offsets(parts).items()}


def committed_offsets(bootstrap_servers: str, group: str, topic: str) -> dict[int, int]:
    """Return the offsets that a consumer group has committed in a topic.

    Return none if the group does not exist yet, or if its coordinator is not ready.
    """
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap_servers)) as admin:
        try:
            committed = admin.list_group_offsets(group)[group]
        except (GroupIdNotFoundError, RetriableError):
            return {}
    return {
        part.partition: position.offset
        for part, position in committed.items()
        if part.topic == topic
    }
