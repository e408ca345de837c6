"""Read what the topics that a batch writes accept."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from kafka import KafkaAdminClient

from tidemill.errors import InvalidTopics, Problem, TopicMissing
from tidemill.kafka import topics
from tidemill.kafka.connect import connect
from tidemill.kafka.failures import kafka_errors
from tidemill.kafka.record_size import OutputTopic

if TYPE_CHECKING:
    from tidemill.settings import KafkaSettings


def output_topics(kafka: KafkaSettings, results: str, dead_letters: str) -> list[OutputTopic]:
    """Return the topics of results and of dead letters with their limits.

    Raises:
        KafkaAuthFailed: The broker refuses the credentials.
        BrokerUnreachable: The broker does not answer.
        TopicMissing: A topic does not exist.
        InvalidTopics: The topic of dead letters is compacted.

    """
    names = (results, dead_letters)
    with kafka_errors(kafka), closing(connect(KafkaAdminClient, kafka)) as admin:
        found = topics.with_settings(admin, topics.describe(admin, names))
    tool = f"--bootstrap-server {kafka.bootstrap_servers}"
    for name in names:
        if name not in found:
            raise TopicMissing(name, f"Create it: kafka-topics.sh {tool} --create --topic {name}")
    if found[dead_letters].compacted:
        text = f"{dead_letters} is compacted, so a dead letter would replace an older one"
        remedy = (
            f"kafka-configs.sh {tool} --alter --topic {dead_letters} "
            "--add-config cleanup.policy=delete"
        )
        raise InvalidTopics([Problem(text, remedy)])
    return [OutputTopic(name, found[name].limits(kafka.compression_type)) for name in names]
