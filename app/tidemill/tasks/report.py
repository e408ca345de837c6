"""Tell how far a task is: what a job's `run` gets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
from pydantic import TypeAdapter

from tidemill.errors import TaskResultTooLarge
from tidemill.tasks.outcome import storable

if TYPE_CHECKING:
    from collections.abc import Callable


class Report:
    """Tells how far a task is: `report(0.4, "phrase")`.

    Attributes:
        run: The id of the run, the same in each attempt: a good name for the files of a job.
        attempt: How often the run was begun, this time included.
        key: The same in each attempt, and another if the run is retried after its end: an
            idempotency key for other services.
        cancelled: Whether the task was cancelled or took too long, if it is asked to end. Otherwise
            only its worker stops, and a later attempt runs it again.

    """

    def __init__(
        self,
        run: str,
        attempt: int,
        send: Callable[[dict[str, Any]], None],
        max_result: int,
        *,
        key: str | None = None,
    ) -> None:
        """Send what is told to the worker; a result may have so many bytes of JSON."""
        self.run = run
        self.attempt = attempt
        self.key = key or run
        self.cancelled = False
        self._send = send
        self._max_result = max_result

    def __call__(self, progress: float, phrase: str = "", result: object = None) -> None:
        """Tell the progress, from 0 to 1, with a phrase, and the best result so far, if any.

        Raises:
            TaskResultTooLarge: The result is too long.
            TypeError: JSON cannot hold it.

        """
        done = 0.0 if math.isnan(progress) else min(1.0, max(0.0, float(progress)))
        told: dict[str, Any] = {"progress": done, "phrase": storable(str(phrase))}
        if result is not None:
            told["interim"] = msgspec.Raw(self.encode(result))
        self._send(told)

    def cancel(self, *_: object) -> None:
        """Take note that the task is cancelled: a handler of a signal."""
        self.cancelled = True

    def encode(self, result: object) -> bytes:
        """Return a result as JSON.

        Raises:
            TaskResultTooLarge: It is too long.
            TypeError: JSON cannot hold it.

        """
        try:
            encoded = TypeAdapter(Any).dump_json(result)
        except ValueError as error:
            raise TypeError(f"the result cannot be written as JSON: {error}") from None
        if len(encoded) > self._max_result:
            raise TaskResultTooLarge(len(encoded), self._max_result)
        return encoded
