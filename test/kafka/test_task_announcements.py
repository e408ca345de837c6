"""Tests of the messages about tasks that have ended, with a real broker."""

from __future__ import annotations

import json
import uuid
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer

from dev.kafka.topics import create_topic
from tidemill.errors import AnnouncementFailed, StoreUnavailable
from tidemill.settings import KafkaSettings
from tidemill.store.store import Store
from tidemill.tasks.announcer import Announcer
from tidemill.tasks.job import Job
from tidemill.tasks.leases import Leases
from tidemill.tasks.outbox import Outbox
from tidemill.tasks.outcome import Failure
from tidemill.tasks.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.kafka.broker import Broker
    from tidemill.tasks.leases import Claim
    from tidemill.tasks.runs import Run

WORKER = "w"


@pytest.fixture
def tasks(tmp_path: Path) -> Iterator[Tasks]:
    """Tasks in an empty store."""
    with Store(f"sqlite:///{tmp_path}/tasks.db") as store:
        yield Tasks(store, [Job("Count", "long_jobs:Count", attempts=1)])


@pytest.fixture
def topic(broker: Broker) -> str:
    """An empty topic."""
    name = f"ended-{uuid.uuid4().hex}"
    create_topic(broker.bootstrap_servers, name)
    return name


class Untold(Outbox):
    """An outbox whose worker ends between a message and its mark."""

    def sent(self, runs: object) -> None:
        """Fail, as if the process were killed."""
        raise StoreUnavailable("", "killed")


def messages(broker: Broker, topic: str, count: int) -> list[tuple[str, Any]]:
    """Return the first messages of a topic: keys and values."""
    options = {"bootstrap.servers": broker.bootstrap_servers, "group.id": topic}
    with closing(Consumer(options | {"auto.offset.reset": "earliest"})) as consumer:
        consumer.subscribe([topic])
        found = [message for _ in range(count) for message in consumer.consume(1, timeout=240)]
    return [((m.key() or b"").decode(), json.loads(m.value() or b"")) for m in found]


def end(tasks: Tasks, *, fails: bool = False) -> Run:
    """Let a run end, and return it."""
    tasks.submit("Count", {"steps": 1})
    leases = Leases(tasks.store, tasks.jobs, WORKER)
    claim: Claim | None = leases.claim()
    assert claim is not None
    assert leases.finish(claim, Failure("broken", "mend it") if fails else b'{"steps":1}')
    return tasks.get(claim.id)


def told(run: Run) -> tuple[str, Any]:
    """Return the message about a run."""
    return run.id, run.as_json()


def test_each_end(tasks: Tasks, broker: Broker, topic: str) -> None:
    """Each end has one message, in order, also the second end of a run that was retried."""
    kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
    announcer = Announcer(Outbox(tasks.store.database, WORKER), kafka, topic)
    announcer.announce()
    ended = [end(tasks), end(tasks, fails=True)]
    announcer.announce()
    announcer.announce()
    tasks.retry(ended[1].id)
    again = Leases(tasks.store, tasks.jobs, WORKER)
    claim = again.claim()
    assert claim is not None
    announcer.announce()  # while it runs
    assert again.finish(claim, b"{}")
    ended.append(tasks.get(claim.id))
    announcer.announce()
    last = end(tasks)
    announcer.announce()
    assert messages(broker, topic, 4) == [told(run) for run in [*ended, last]]


def test_crash(tasks: Tasks, broker: Broker, topic: str) -> None:
    """A message whose worker ended before it was marked is written again, by another worker."""
    kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
    run = end(tasks)
    with pytest.raises(StoreUnavailable):
        Announcer(Untold(tasks.store.database, WORKER), kafka, topic).announce()
    other = Announcer(Outbox(tasks.store.database, "other"), kafka, topic)
    other.announce()  # leaves it to the worker for now
    last = end(tasks)
    later = Outbox(tasks.store.database, "other", clock=lambda: (last.ended or 0) + 60_000)
    Announcer(later, kafka, topic).announce()
    assert messages(broker, topic, 3) == [told(run), told(run), told(last)]


def test_no_topic(tasks: Tasks, broker: Broker, topic: str) -> None:
    """A broker that refuses a message is named, and the message is written later."""
    kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
    run = end(tasks)
    outbox = Outbox(tasks.store.database, WORKER)
    with pytest.raises(AnnouncementFailed, match="not written to the topic 'no such/topic'"):
        Announcer(outbox, kafka, "no such/topic").announce()
    Announcer(outbox, kafka, topic).announce()
    assert messages(broker, topic, 1) == [told(run)]
