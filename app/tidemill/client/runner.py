"""Run models on servers, for the engine of `tidemill predict`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Raw

from tidemill import errors
from tidemill.errors import MessageError, RequestError, TidemillError, rebuild
from tidemill.errors.base import HINT
from tidemill.inference.request import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from concurrent.futures import Future

    from tidemill.client.answer import Answer
    from tidemill.client.sync_client import Client
    from tidemill.inference.model import ModelSpec


class RemoteRunner:
    """Has servers answer the inputs of an entry: those of its name and version."""

    def __init__(self, client: Client, *, batch_size: int, clock: Callable[[], float]) -> None:
        """Take a client, the most inputs in a request, and a clock in seconds since the epoch."""
        self._client = client
        self._batch_size = batch_size
        self._clock = clock

    def run(self, spec: ModelSpec, inputs: list[str | None]) -> Generator[list[Output]]:
        """Send all requests now, and yield their outputs in order."""
        texts = [text or "" for text in inputs]
        values = texts if spec.is_text else [Raw(text.encode()) for text in texts]
        size, start = self._batch_size, self._clock()
        parts = [values[first : first + size] for first in range(0, len(values), size)]
        requests = [
            (len(part), self._client.submit(spec.name, part, version=spec.version))
            for part in parts
        ]
        return self._outputs(requests, start)

    def _outputs(
        self, requests: list[tuple[int, Future[list[Answer]]]], start: float
    ) -> Generator[list[Output]]:
        try:
            for count, request in requests:
                try:
                    results = [_result(answer) for answer in request.result()]
                except RequestError as error:
                    results = [error] * count
                span = (start, self._clock())
                yield [Output(result, span) for result in results]
        finally:
            for _, request in requests:
                request.cancel()


def _result(answer: Answer) -> str | TidemillError:
    """Return an answer's output; or its error, as it would be if the model ran here."""
    error = answer.error
    if error is None:
        return answer.text or ""
    kind = getattr(errors, error.title, None)
    if isinstance(kind, type) and issubclass(kind, MessageError):
        return rebuild(kind, error.detail, [HINT + error.hint] if error.hint else [])
    return error
