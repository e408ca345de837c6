"""Commit what the query has finished to a consumer group, so that ordinary lag tools work."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from app.connection import python_options
from app.monitoring.progress import batch_id, end_offsets

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.monitoring.progress import Offsets
    from app.settings import KafkaSettings

log = structlog.get_logger(__name__)

FIRST_DELAY, LONGEST_DELAY = 1.0, 30.0


class KafkaOffsetsReporter:
    """A thread that commits the newest finished offsets; nothing else waits for Kafka.

    The group is for those who watch: the query's own truth is its checkpoint. Where the broker is
    away, commits are tried again with growing pauses, and an outage is logged once.
    """

    def __init__(
        self, commit: Callable[[Offsets], None], release: Callable[[], None] = lambda: None
    ) -> None:
        """Take what commits offsets, and raises where it cannot, and what releases its means.

        The thread alone calls both.
        """
        self._commit = commit
        self._release = release
        self._newest_batch = -1
        self._news = threading.Condition()
        self._pending: Offsets = {}
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="offsets-reporter", daemon=True)

    def start(self) -> KafkaOffsetsReporter:
        """Start the thread."""
        self._thread.start()
        return self

    def record(self, progress: str) -> None:
        """Take a progress report (Spark's JSON) of a finished micro-batch; return at once.

        One that comes late, after that of a later batch, is passed over.
        """
        batch = batch_id(progress)
        with self._news:
            if batch >= self._newest_batch:
                self._newest_batch = batch
                self._pending.update(end_offsets(progress))
                self._news.notify()

    def close(self, timeout: float = 10) -> None:
        """Commit what is pending, stop and join the thread, within `timeout` seconds."""
        with self._news:
            self._closing = True
            self._news.notify()
        self._thread.join(timeout)
        if self._thread.is_alive() or self._pending:
            log.warning("the last offsets are not committed: the lag shown stays too high")

    def _run(self) -> None:
        delay = 0.0
        while True:
            with self._news:
                if delay:
                    self._news.wait_for(lambda: self._closing, delay)
                self._news.wait_for(lambda: self._pending or self._closing)
                offsets, self._pending = self._pending, {}
                closing_now = self._closing
            if offsets:
                delay = self._try(offsets, delay)
            if closing_now:
                break
        with suppress(KafkaError, OSError):
            self._release()

    def _try(self, offsets: Offsets, delay: float) -> float:
        """Commit; return the pause before the next try, 0 after success."""
        try:
            self._commit(offsets)
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread must live
            if not delay:
                log.warning("offsets not committed, trying again", error=repr(error))
            with self._news:
                self._pending = offsets | self._pending
            return min(2 * delay or FIRST_DELAY, LONGEST_DELAY)
        if delay:
            log.info("offsets committed again")
        return 0.0


class GroupCommitter:
    """Commit offsets to a group without being a member of it: no rebalance can follow."""

    def __init__(self, kafka: KafkaSettings, group_id: str) -> None:
        """Keep what is needed to connect; nothing is sent before the first commit."""
        self._kafka = kafka
        self._group_id = group_id
        self._consumer: KafkaConsumer | None = None

    def __call__(self, offsets: Offsets) -> None:
        """Commit, on a connection that is made anew after an error.

        Raises:
            KafkaError: The broker is away or refuses.

        """
        if self._consumer is None:
            self._consumer = KafkaConsumer(
                **python_options(self._kafka), group_id=self._group_id, enable_auto_commit=False
            )
        try:
            self._consumer.commit(
                {
                    TopicPartition(topic, partition): OffsetAndMetadata(offset, "", -1)
                    for (topic, partition), offset in offsets.items()
                },
                timeout_ms=10_000,
            )
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()
