"""Make the requests to a model's process, and turn its replies into outputs or errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.errors import (
    MessageError,
    ModelLoadFailed,
    ModelMisconfigured,
    PredictionFailed,
    RemoteTraceback,
    TidemillError,
    WrongOutputCount,
    one_line,
    rebuild,
)
from tidemill.models.adapters import class_path
from tidemill.models.isolation import child

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.inference.model import ModelSpec


def load_request(spec: ModelSpec) -> bytes:
    """Return the frame that asks for an entry's model to be loaded.

    Raises:
        ModelMisconfigured: The adapter is unknown, or an option has a type that YAML lacks.
        ModelLoadFailed: The options are nested too deeply.

    """
    try:
        path, options = class_path(spec.adapter), child.pack(spec.arguments)
    except (ImportError, TypeError, RecursionError) as cause:
        raise load_error(spec, cause, **child.explain(cause, spec.adapter)) from cause
    return child.encode({"request": "load", "model": spec.id, "class": path, "options": options})


def predict_request(spec: ModelSpec, inputs: list[str]) -> bytes:
    """Return the frame that asks for an entry's outputs."""
    return child.encode({"request": "predict", "model": spec.id}, inputs)


def error_of(spec: ModelSpec, reply: child.Message) -> TidemillError | None:
    """Return the error that a reply reports, if any."""
    if "error" not in reply:
        return None
    error = reply["error"]
    return _ERRORS[error["kind"]](spec, error)


def is_reusable(reply: child.Message) -> bool:
    """Return whether the process can be used again after an error."""
    return bool(reply["error"]["reusable"])


def load_error(
    spec: ModelSpec, cause: BaseException, *, kind: str, remedy: str = ""
) -> TidemillError:
    """Return the error of a model that does not load; `child.explain` returns kind and remedy."""
    if kind == child.MISCONFIGURED:
        return ModelMisconfigured(spec.id, spec.adapter, cause, remedy)
    return ModelLoadFailed(spec.id, cause)


def _load_error(spec: ModelSpec, error: child.Message) -> TidemillError:
    cause = _cause(error)
    mapped = load_error(spec, cause, kind=error["kind"], remedy=error.get("remedy", ""))
    mapped.__cause__ = cause
    return mapped


def _prediction_error(_: ModelSpec, error: child.Message) -> TidemillError:
    # A model may raise an error of ours, whose class goes into the dead letter's headers.
    for leaf in MessageError.__subclasses__():
        if (leaf.__module__, leaf.__name__) == (error["module"], error["type"]):
            return rebuild(leaf, error["text"], [], error["traceback"])
    return PredictionFailed(_cause(error))


def _wrong_count(_: ModelSpec, error: child.Message) -> TidemillError:
    return WrongOutputCount(error["inputs"], error["outputs"])


def _cause(error: child.Message) -> RemoteTraceback:
    name, text = error["type"], one_line(error["text"])
    return RemoteTraceback(error["traceback"], f"{name}: {text}" if text else name)


_ERRORS: dict[str, Callable[[ModelSpec, child.Message], TidemillError]] = {
    child.MISCONFIGURED: _load_error,
    child.LOAD_FAILED: _load_error,
    child.PREDICTION_FAILED: _prediction_error,
    child.WRONG_OUTPUT_COUNT: _wrong_count,
}
