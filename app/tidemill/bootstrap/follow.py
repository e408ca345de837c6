"""Wire `tidemill store follow`."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import structlog

from tidemill.bootstrap.store import open_store, tables
from tidemill.follow.follow import follow as run
from tidemill.follow.writer import Writer

if TYPE_CHECKING:
    from tidemill.settings import FollowProgram

log = structlog.get_logger(__name__)


def follow(
    settings: FollowProgram,
    table: str,
    topic: str,
    group: str | None = None,
    *,
    until_end: bool = False,
    skip_invalid: bool = False,
) -> None:
    """Write a topic into a table until SIGTERM or Ctrl-C.

    Raises:
        TidemillError: The table or the topic does not exist, or a record does not fit.

    """
    stop = _stop_on_signals()
    described = tables(settings.store).get(table)
    with open_store(settings.store) as store:
        if described is not None:
            store.create(described)
        store.table(table)  # fail now if it does not exist
        writer = Writer(store, table, topic, skip_invalid=skip_invalid, pause=stop.wait)
        group = group or f"tidemill-store-{table}"
        log.info("following", topic=topic, table=table, group=group)
        try:
            run(settings.kafka, topic, group, writer, stop.is_set, until_end=until_end)
        finally:
            log.info("stopped", written=writer.written, skipped=writer.skipped)


def _stop_on_signals() -> threading.Event:
    """Return an event that SIGTERM or Ctrl-C sets."""
    stop = threading.Event()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
    return stop
