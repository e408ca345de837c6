"""Wait for results in the output topic, and compute their rate."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from dev.kafka.topics import end_offsets

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dev.pipeline.pipeline import Pipeline

# After the first result, models load and Java compiles; then the window is measured.
WARM_UP_S, WINDOW_S = 10, 15
# Results can come late: partitions differ, and some contenders write a thousand at a time.
LATE_S, MAX_LATE_S = 3, 30
TIMEOUT_S = 600
POLL_S = 2.0  # polling takes CPU time


class NotMeasured(Exception):
    """A contender ended, or answered all messages, before the window was over."""


def slope(times: Sequence[float]) -> float:
    """Return results a second, from the sorted times of results.

    This is the slope of a line through them. Counting would depend on where the window cuts
    batches of results.
    """
    return statistics.linear_regression(times, range(len(times))).slope


def rate(times: Sequence[float], window: int = WINDOW_S) -> float:
    """Return results a second in a window after the warm-up.

    Raises:
        NotMeasured: All messages were answered before the end of the window.

    """
    begin = times[0] + WARM_UP_S
    if times[-1] < begin + window:
        raise NotMeasured(too_few(times))
    return slope([time for time in times if begin <= time <= begin + window])


def rate_to_end(times: Sequence[float]) -> float:
    """Return results a second from the end of the warm-up until the last result.

    Raises:
        NotMeasured: That is less than the window.

    """
    begin = times[0] + WARM_UP_S
    if times[-1] < begin + WINDOW_S:
        raise NotMeasured(too_few(times))
    return sum(time > begin for time in times) / (times[-1] - begin)


def too_few(times: Sequence[float]) -> str:
    """Return why the results do not suffice for a measurement."""
    return f"{len(times)} texts were answered in {times[-1] - times[0]:.0f} s: send more (--texts)"


def result_times(pipeline: Pipeline) -> list[float]:
    """Return the sorted times of the results in seconds, by the broker's clock."""
    return sorted(result.timestamp / 1000 for result in pipeline.results())


def wait_until_measured(
    pipeline: Pipeline, must_run: Callable[[], None], window: int = WINDOW_S
) -> list[float]:
    """Wait until results are later than the window; return the times of all."""
    wait_for_offsets(pipeline, 1, must_run)
    wait = float(WARM_UP_S + window + LATE_S)
    until = time.monotonic() + wait + MAX_LATE_S
    while True:
        sleep(wait, must_run)
        times = result_times(pipeline)
        if times[-1] > times[0] + WARM_UP_S + window or time.monotonic() > until:
            return times
        wait = LATE_S


def sleep(seconds: float, must_run: Callable[[], None]) -> None:
    """Sleep; fail if the contender ends meanwhile."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        must_run()
        time.sleep(POLL_S)


def wait_for_all(pipeline: Pipeline, texts: int, must_run: Callable[[], None]) -> list[float]:
    """Wait until that many texts are answered; return the times of the results."""
    while True:
        # Offsets alone would be too early, since a transaction's end marker takes one too.
        wait_for_offsets(pipeline, texts, must_run)
        if len(times := result_times(pipeline)) >= texts:
            return times
        time.sleep(POLL_S)


def wait_for_offsets(pipeline: Pipeline, offsets: int, must_run: Callable[[], None]) -> None:
    """Wait until the output topic has that many offsets."""
    deadline = time.monotonic() + TIMEOUT_S
    while sum(end_offsets(pipeline.broker.bootstrap_servers, pipeline.output).values()) < offsets:
        must_run()
        assert time.monotonic() < deadline, f"{pipeline.output} is not complete"
        time.sleep(POLL_S)
