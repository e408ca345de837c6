"""A model under test, and its answers to single inputs, with which others are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import pytest

from tidemill.testing.answers import Answer, distance, failed, predict
from tidemill.testing.failure import quoted, refuse
from tidemill.testing.texts import ORDINARY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.inference.model import Model, ModelSpec

# Exceptions that end a test or the run, and are not the model's.
NOT_THE_MODELS = (
    KeyboardInterrupt,
    GeneratorExit,
    pytest.exit.Exception,
    pytest.fail.Exception,
    pytest.skip.Exception,
)
ONE_OUTPUT_EACH = "Return a list with one output for each input, even if inputs are equal."


class Subject:
    """A model, and its answers to its sample, the author's inputs and ordinary texts.

    Attributes:
        required: The inputs that the model must answer.
        alone: The answer to each input that was asked alone.
        texts: The inputs that the model answers alone. It may raise on ordinary texts, which need
            not suit it.
        batches: Batches of `texts`, in different orders, one with an input twice.
        is_broken: Whether a check has failed.

    """

    def __init__(
        self, spec: ModelSpec, model: Model, required: Sequence[str], tolerance: float
    ) -> None:
        """Ask for each input alone."""
        self.spec = spec
        self.tolerance = tolerance
        self._model = model
        self.required = tuple(dict.fromkeys(required))
        ordinary = [text for text in ORDINARY if len(text) <= spec.limits.chars]
        self.alone = {t: self.ask(t) for t in dict.fromkeys((*self.required, *ordinary))}
        self.texts = [text for text, answer in self.alone.items() if answer.is_output]
        self.is_broken = False
        self.batches = [[*self.texts, *self.texts[:1]], self.texts[::-1]]

    def ask(self, text: str) -> Answer:
        """Return the answer to one input, even if it is an exception."""
        try:
            (answer,) = predict(self.spec, self._model, [text])
        except NOT_THE_MODELS:
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit and Rust's panics are no Exception
            return failed(error)
        return answer

    def predict(self, batch: Sequence[str]) -> list[Answer]:
        """Return the answers to inputs that the model answers alone; fail if it raises."""
        answers: list[Answer] = []
        failure = None
        try:
            answers = predict(self.spec, self._model, batch)
        except NOT_THE_MODELS:
            raise
        except BaseException as error:  # noqa: BLE001 - as above
            failure = failed(error)
        facts = [("input", quoted(text)) for text in batch]
        if failure and failure.kind == "miscounted":
            self.refuse(failure.text, facts, ONE_OUTPUT_EACH)
        if failure:
            self.refuse(
                "predict_all raises on a batch, but on none of its inputs alone",
                [*facts, ("exception", failure.text)],
                "Answer any batch of at most limits.batch inputs.",
            )
        return answers

    def refuse(self, problem: str, facts: Sequence[tuple[str, str]], remedy: str) -> NoReturn:
        """Fail the test: what is wrong, the input and the outputs, and what to do."""
        self.is_broken = True
        refuse(self.spec, problem, facts, remedy)

    def is_near(self, one: Answer, other: Answer) -> bool:
        """Tell whether two answers are the same text, or equal within a tolerance."""
        return one == other or 0 < self.tolerance >= distance(one, other)
