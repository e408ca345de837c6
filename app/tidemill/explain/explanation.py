"""Run the predictor on one message, and tell what each step did."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tidemill.errors import TidemillError
from tidemill.explain.describe import DESCRIBERS
from tidemill.explain.observation import Observation
from tidemill.explain.watched_codec import WatchedCodec
from tidemill.explain.watched_models import WatchedModels
from tidemill.inference.engine import local_engine
from tidemill.inference.features import without_store
from tidemill.inference.headers import encode_headers
from tidemill.inference.message import OutcomeRecord, Prediction
from tidemill.inference.predictor import Predictor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tidemill.explain.origin import Origin
    from tidemill.inference.batch import Clock
    from tidemill.inference.features import Complete, Completed
    from tidemill.inference.message import Message, Outcome
    from tidemill.inference.model import ModelLoader
    from tidemill.inference.request import Request
    from tidemill.inference.route import Route


Writer: TypeAlias = "Callable[[Message, Outcome], OutcomeRecord]"
Status: TypeAlias = Literal["ok", "failed", "not reached"]


@dataclass(frozen=True, slots=True)
class Step:
    """A step, and what there is to say about it, as JSON has it."""

    name: str
    status: Status
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What each step did, and the record of the outcome, or why there is none yet."""

    steps: list[Step]
    result: OutcomeRecord | TidemillError

    @property
    def verdict(self) -> str:
        """The outcome in a word or two."""
        if isinstance(self.result, TidemillError):
            return "no outcome"
        return "result" if isinstance(self.result.outcome, Prediction) else "dead letter"


def record_of(message: Message, outcome: Outcome) -> OutcomeRecord:
    """Return the record of an outcome if nothing limits records, as in a file."""
    value = outcome.value if isinstance(outcome, Prediction) else message.value
    return OutcomeRecord(outcome, message.key, value, encode_headers(message, outcome))


def explain(
    routes: Sequence[Route],
    message: Message,
    origin: Origin,
    load: ModelLoader,
    *,
    clock: Clock = time.time,
    complete: Complete = without_store,
    write: Writer = record_of,
    read_stacks: Callable[[], str] = str,
    on_step: Callable[..., None] = lambda *_, **__: None,
) -> Explanation:
    """Take a message through the predictor, and then its model's sample if that has not run.

    `complete` adds features. `write` returns the record of an outcome, which its topic may refuse.
    `read_stacks` returns the stacks of the model's process if it crashed. `on_step` is called
    before the steps that may take long.
    """
    codec = WatchedCodec(routes)
    models = WatchedModels(load, read_stacks, on_step)
    completed: list[Completed] = []

    def keep(requests: Sequence[Request]) -> list[Completed]:
        completed.extend(complete(requests))
        return completed

    engine = local_engine(models.load, clock=clock, complete=keep)
    predictor = Predictor(routes, engine, codec=codec)
    result: OutcomeRecord | TidemillError
    try:
        (outcome,) = predictor.predict([message])
        result = write(message, outcome)
    except TidemillError as outage:
        result = outage
    models.finish(result if isinstance(result, TidemillError) else None)
    done = completed[0] if completed else None
    seen = Observation(routes, message, origin, codec, models, result, done)
    return Explanation(list(_steps(seen)), result)


def _steps(seen: Observation) -> Iterator[Step]:
    """Yield all steps. After the one that failed, only a dead letter is still to be encoded."""
    failed, error = seen.failed_step, seen.error
    status: Status = "ok"
    for name, describe in DESCRIBERS.items():
        if name == failed and error:
            yield Step(name, "failed", describe(seen) | {"error": _describe(error)})
            status = "not reached"
        elif status == "ok":
            yield Step(name, status, describe(seen))
        elif name == "encode" and not isinstance(seen.result, TidemillError):
            yield Step(name, "ok", describe(seen))
        else:
            yield Step(name, status)


def _describe(error: TidemillError) -> dict[str, Any]:
    return {
        "class": type(error).__name__,
        "message": str(error),
        "hint": error.hint or None,
        "problems": error.problems,
    }
