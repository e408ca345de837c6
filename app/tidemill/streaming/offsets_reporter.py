"""Commit processed offsets to a consumer group, so that standard lag tools work."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog
from kafka.errors import KafkaError

from tidemill.errors import TidemillError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.streaming.progress import Offsets, Progress

log = structlog.get_logger(__name__)

# Pauses between tries, in seconds.
FIRST_DELAY, LONGEST_DELAY = 1.0, 30.0
# Kafka forgets what a group without members committed, by default after seven days; a broker may
# be set to keep it for hours only.
REPEAT_AFTER = 3600.0


class KafkaOffsetsReporter:
    """A thread that commits the newest finished offsets; nothing else waits for Kafka.

    The group is for those who watch: the query's own truth is its checkpoint. Where the broker is
    away, or others are members of the group, commits are tried again with growing pauses, and that
    is logged once as it begins and once as it ends. Where nothing
    new comes, the newest is committed again each hour, so that Kafka does not forget the group.
    """

    def __init__(
        self, commit: Callable[[Offsets], None], release: Callable[[], None] = lambda: None
    ) -> None:
        """Take what commits offsets, and raises where it cannot, and what releases its means.

        The thread alone calls both.
        """
        self._commit = commit
        self._release = release
        self._news = threading.Condition()
        self._newest_batch = -1
        self._newest: Offsets = {}
        self._pending = False
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="offsets-reporter", daemon=True)

    def start(self) -> KafkaOffsetsReporter:
        """Start the thread."""
        self._thread.start()
        return self

    def record(self, progress: Progress) -> None:
        """Take the progress of a finished micro-batch; return at once.

        It tells of all partitions, so the newest is all there is to commit. One that comes late,
        after that of a later batch, is passed over.
        """
        with self._news:
            if progress.offsets and progress.batch >= self._newest_batch:
                self._newest_batch, self._newest = progress.batch, progress.offsets
                self._pending = True
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
                else:
                    self._news.wait_for(lambda: self._pending or self._closing, REPEAT_AFTER)
                closing_now = self._closing
                offsets = self._newest if self._pending or not closing_now else {}
                self._pending = False
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
                said = str(error) if isinstance(error, TidemillError) else repr(error)
                log.warning("offsets not committed, trying again", error=said)
            with self._news:
                self._pending = True
            return min(2 * delay or FIRST_DELAY, LONGEST_DELAY)
        if delay:
            log.info("offsets committed again")
        return 0.0
