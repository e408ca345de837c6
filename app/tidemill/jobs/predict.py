"""Run a model over the inputs of a request as a task, without any files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from pydantic import BaseModel, Field

from tidemill.bootstrap.features import opened
from tidemill.inference.request import Request
from tidemill.jobs.cancelled import ends_at_once
from tidemill.jobs.chosen import load, one_model
from tidemill.models.pool.engine import pooled_engine
from tidemill.serving.plain import to_input
from tidemill.serving.status import problem
from tidemill.units import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemill.errors import TidemillError
    from tidemill.inference.engine import Engine
    from tidemill.inference.model import ModelSpec
    from tidemill.tasks.report import Report

AT_ONCE: Final = 256  # inputs, between two reports


class Parameters(BaseModel):
    """The inputs, and the model that answers them."""

    inputs: list[Any] = Field(
        description="Texts, if the model takes text; otherwise the values that the model gets.",
        examples=[["What a great day"]],
    )
    model: str | None = Field(
        None, description="NAME or NAME:VERSION of the models file, unless it has only one model."
    )


class Predict:
    """Answers a list of inputs: the outputs come in the same order, with errors in their places."""

    def __init__(self, config: str) -> None:
        """Take the settings file with the models."""
        self._config = config

    def run(self, parameters: Parameters, report: Report) -> dict[str, Any]:
        """Return an output or an error for each input, and the model.

        Raises:
            TidemillError: There is no such model, or it is down.

        """
        with ends_at_once():
            settings, routes = load(self._config)
            spec = one_model(routes, parameters.model)
            report(0, "loading the model")
            with opened(settings.store, [spec]) as complete:
                engine = pooled_engine([spec], settings.pool, complete)
                outputs = list(_outputs(engine, spec, parameters.inputs, report))
        return {"outputs": outputs, "model": spec.name, "version": spec.version}


def _outputs(
    engine: Engine, spec: ModelSpec, inputs: list[Any], report: Report
) -> Iterator[object]:
    """Yield an output or an error for each input.

    Raises:
        TidemillError: The model is down.

    """
    for start in range(0, len(inputs), AT_ONCE):
        values = inputs[start : start + AT_ONCE]
        texts = [to_input(spec, msgspec.Raw(msgspec.json.encode(value))) for value in values]
        requests = [Request(spec, text) for text in texts if isinstance(text, str)]
        answers = iter(engine.run(requests))
        for text in texts:
            yield _output(next(answers).result if isinstance(text, str) else text)
        done = start + len(values)
        report(done / len(inputs), f"{done:,} of {counted(len(inputs), 'input')}")


def _output(result: str | TidemillError) -> object:
    """Return an output, or an error as a server writes it.

    Raises:
        TidemillError: The model is down, so no input is to blame.

    """
    if isinstance(result, str):
        return msgspec.json.decode(result)
    if result.kind != "message":
        raise result
    return {"error": problem(result)}
