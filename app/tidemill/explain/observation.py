"""What was seen while a message went through the predictor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill.errors import InputTooLong, TidemillError
from tidemill.inference.message import Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.explain.origin import Origin
    from tidemill.explain.watched_codec import WatchedCodec
    from tidemill.explain.watched_models import WatchedModels
    from tidemill.inference.features import Completed
    from tidemill.inference.message import Message, OutcomeRecord
    from tidemill.inference.route import Route


@dataclass(frozen=True, slots=True)
class Observation:
    """A message, what saw it, and its outcome's record, or the outage because of which it has none.

    The attributes of `codec` and `models` are those that the last message left. `completed` is the
    input with the features that its entry looks up.
    """

    routes: Sequence[Route]
    message: Message
    origin: Origin
    codec: WatchedCodec
    models: WatchedModels
    result: OutcomeRecord | TidemillError
    completed: Completed | None = None

    @property
    def error(self) -> TidemillError | None:
        """Why the message has no result."""
        if isinstance(self.result, TidemillError):
            return self.result
        outcome = self.result.outcome
        return outcome.error if isinstance(outcome, Failure) else None

    @property
    def failed_step(self) -> str | None:
        """The step that failed."""
        if self.error is None:
            return None
        codec = self.codec
        # The engine refuses long inputs before it loads the model, which may raise the same error.
        is_refused = isinstance(self.error, InputTooLong) and self.models.spec is None
        is_refused |= self.completed is not None and isinstance(self.completed.input, TidemillError)
        passed = {
            "decode": codec.is_parsed,
            "route": codec.matched is not None,
            "variant": codec.variant is not None,
            "input": codec.copied is not None and not is_refused,
            "model": codec.output is not None and isinstance(codec.output.result, str),
        }
        return next((step for step, has_passed in passed.items() if not has_passed), "encode")
