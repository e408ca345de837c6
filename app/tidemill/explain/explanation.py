"""Run the predictor on one message, and tell what each step did."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill.errors import TidemillError
from tidemill.explain import describe
from tidemill.explain.watched_codec import WatchedCodec
from tidemill.explain.watched_models import WatchedModels
from tidemill.inference.engine import local_engine
from tidemill.inference.message import Failure, Prediction
from tidemill.inference.predictor import Predictor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidemill.explain.describe import Step
    from tidemill.explain.origin import Origin
    from tidemill.inference.batch import Clock
    from tidemill.inference.message import Message, Outcome
    from tidemill.inference.model import ModelLoader
    from tidemill.inference.route import Route


@dataclass(frozen=True, slots=True)
class Explanation:
    """What each step did, and the message's outcome, or the error because of which it has none."""

    steps: list[Step]
    outcome: Outcome | TidemillError

    @property
    def verdict(self) -> str:
        """The outcome in a word or two."""
        match self.outcome:
            case Prediction():
                return "result"
            case Failure():
                return "dead letter"
        return "no outcome"


def explain(
    routes: Sequence[Route],
    message: Message,
    origin: Origin,
    load: ModelLoader,
    *,
    clock: Clock = time.time,
    read_stacks: Callable[[], str] = str,
    on_step: Callable[..., None] = lambda *_, **__: None,
) -> Explanation:
    """Take a message through the predictor, and then its model's sample if that has not run.

    `read_stacks` returns the stacks of the model's process if it crashed. `on_step` is called
    before the steps that may take long.
    """
    codec = WatchedCodec(routes)
    models = WatchedModels(load, read_stacks, on_step)
    predictor = Predictor(routes, local_engine(models.load, clock=clock), codec=codec)
    outcome: Outcome | TidemillError
    try:
        (outcome,) = predictor.predict([message])
    except TidemillError as outage:
        outcome = outage
    models.finish(outcome if isinstance(outcome, TidemillError) else None)
    return Explanation(describe.steps(routes, message, origin, codec, models, outcome), outcome)
