"""Commit processed offsets to a consumer group, so that standard lag tools work."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog
from kafka.errors import KafkaError

from tidemill.errors import TidemillError, log_fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.streaming.progress import Offsets, Progress

log = structlog.get_logger(__name__)

# The pause between two attempts doubles from the minimum to the maximum.
MIN_RETRY_DELAY_S, MAX_RETRY_DELAY_S = 1.0, 30.0
# Kafka deletes the offsets of a group without members, by default after seven days. A broker may be
# configured to keep them for hours only.
RECOMMIT_INTERVAL_S = 3600.0


class KafkaOffsetsReporter:
    """A thread that commits the latest processed offsets; nothing else waits for Kafka.

    The group's offsets only inform lag tools; the query recovers from its checkpoint. If the broker
    is unreachable, or if the group has members, the thread retries with growing pauses, and logs
    the start and the end of the outage once each. Without new offsets it commits the latest ones
    again every hour, so that Kafka does not delete the group.
    """

    def __init__(
        self, commit: Callable[[Offsets], None], release: Callable[[], None] = lambda: None
    ) -> None:
        """Take a function that commits offsets or raises, and one that releases its resources.

        Only the thread calls either of them.
        """
        self._commit = commit
        self._release = release
        self._changed = threading.Condition()
        self._latest_batch = -1
        self._latest: Offsets = {}
        self._pending = False
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="offsets-reporter", daemon=True)

    def start(self) -> KafkaOffsetsReporter:
        """Start the thread."""
        self._thread.start()
        return self

    def record(self, progress: Progress) -> None:
        """Take the progress of a finished micro-batch; return at once.

        Each report contains all partitions, so only the latest needs a commit. Ignore a report
        that arrives after a later batch's.
        """
        with self._changed:
            if progress.offsets and progress.batch >= self._latest_batch:
                self._latest_batch, self._latest = progress.batch, progress.offsets
                self._pending = True
                self._changed.notify()

    def check(self) -> None:
        """Do nothing: the query does not depend on the group's offsets."""

    def close(self, timeout: float = 10) -> None:
        """Commit pending offsets, then stop and join the thread, within `timeout` seconds."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout)
        if self._thread.is_alive() or self._pending:
            log.warning("the last offsets are not committed: lag tools will show too much lag")

    def _run(self) -> None:
        delay = 0.0
        while True:
            with self._changed:
                if delay:
                    self._changed.wait_for(lambda: self._closing, delay)
                else:
                    self._changed.wait_for(
                        lambda: self._pending or self._closing, RECOMMIT_INTERVAL_S
                    )
                closing_now = self._closing
                offsets = self._latest if self._pending or not closing_now else {}
                self._pending = False
            if offsets:
                delay = self._try_commit(offsets, delay)
            if closing_now:
                break
        with suppress(KafkaError, OSError):
            self._release()

    def _try_commit(self, offsets: Offsets, delay: float) -> float:
        """Commit; return the pause before the next attempt, 0 after success."""
        try:
            self._commit(offsets)
        except Exception as error:  # noqa: BLE001 - no error may end the thread
            if not delay:
                message = error.message if isinstance(error, TidemillError) else repr(error)
                log.warning("offsets not committed, retrying", error=message, **log_fields(error))
            with self._changed:
                self._pending = True
            return min(2 * delay or MIN_RETRY_DELAY_S, MAX_RETRY_DELAY_S)
        if delay:
            log.info("offsets committed again")
        return 0.0
