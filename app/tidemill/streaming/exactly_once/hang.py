"""Exit a worker that hangs in a call of Kafka's client."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pyspark import TaskContext

if TYPE_CHECKING:
    from collections.abc import Iterator

# A call that has not returned this long after its timeout counts as hung.
GRACE_S = 30.0


@contextmanager
def exit_if_hung(timeout: float) -> Iterator[None]:
    """Exit a worker that is still blocked well after a timeout; Spark retries its task elsewhere.

    If a group's coordinator disappears, librdkafka may block forever, whatever the call's timeout
    (its issues 5456 and 5511; at least 2.11 to 2.16). All of its waits end at a wall-clock time: if
    the clock is set back meanwhile, they last longer by as much.
    """
    if TaskContext.get() is None:
        yield
        return
    alarm = threading.Timer(timeout + GRACE_S, os._exit, (os.EX_UNAVAILABLE,))
    alarm.daemon = True
    alarm.start()
    try:
        yield
    finally:
        alarm.cancel()
