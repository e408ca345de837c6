"""Ask the long tasks off the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tidemill.serving.store_calls import StoreCalls
    from tidemill.tasks.job import Job
    from tidemill.tasks.tasks import Tasks
    from tidemill.tasks.totals import Summary

    T = TypeVar("T")


class LongTasks:
    """The jobs that a server serves, and their runs; for one event loop."""

    def __init__(
        self,
        jobs: Mapping[str, Job],
        max_parameters: int,
        opened: Callable[[], Tasks],
        calls: StoreCalls,
    ) -> None:
        """Take the jobs, the longest parameters in bytes, and what returns the opened tasks.

        That creates tables, so it is called with the first request, when the database may be back.
        """
        self.jobs = jobs
        self.max_parameters = max_parameters
        self._opened = opened
        self._calls = calls

    async def ask(self, function: Callable[[Tasks], T]) -> T:
        """Return what a function makes of the tasks; it runs in another thread.

        Raises:
            TasksUnavailable, ServerBusy: There is no answer now.

        """
        return await self._calls.for_client(lambda: function(self._opened()))

    def summary(self) -> Summary:
        """Return how many runs of each job wait and run, and how many have ended.

        This waits for the database.

        Raises:
            StoreUnavailable: The database does not answer.

        """
        return self._opened().summary()

    def close(self) -> None:
        """Close the store, soon after the last request."""
        self._calls.close()

    @property
    def is_busy(self) -> bool:
        """Tell whether a thread waits for the database. Python does not end before it."""
        return self._calls.is_busy
