"""Predict a batch of messages: read, run, write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.inference.message import Failure
from tidemill.inference.records import RecordCodec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidemill.inference.engine import Engine
    from tidemill.inference.message import Message, Outcome
    from tidemill.inference.route import Route


class Predictor:
    """Turn messages into outcomes, in the same order.

    A bad message never raises; it becomes a Failure. If a model is down, its error is raised, so
    that the batch is retried and an outage does not produce dead letters.
    """

    def __init__(
        self, routes: Sequence[Route], engine: Engine, *, codec: RecordCodec | None = None
    ) -> None:
        """Index the routes, unless a codec of theirs is given."""
        self._codec = codec or RecordCodec(routes)
        self._engine = engine

    def predict(self, messages: Sequence[Message]) -> list[Outcome]:
        """Return one outcome for each message.

        Raises:
            ModelUnavailable: A model fails on its own sample.
            ModelMisconfigured, ModelLoadFailed: A model does not load.

        """
        return list(self.outcomes(messages))

    def outcomes(self, messages: Sequence[Message]) -> Iterator[Outcome]:
        """Yield one outcome for each message; raise at the first one whose model is down.

        Raises:
            ModelUnavailable, ModelMisconfigured, ModelLoadFailed: As `predict` does.

        """
        read = [self._codec.read(message) for message in messages]
        requests = [each.request for each in read if not isinstance(each, Failure)]
        outputs = iter(self._engine.run(requests))
        for each in read:
            yield each if isinstance(each, Failure) else self._codec.write(each, next(outputs))
