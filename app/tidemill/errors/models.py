"""Define the errors of models that are misconfigured, do not load, or are down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.errors.base import ConfigurationError, SeveralProblems, TidemillError, describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class InvalidModels(SeveralProblems):
    """models.yaml describes an impossible model."""

    def __init__(self, source: object, *problems: object) -> None:
        super().__init__(
            str(source), problems, "Correct the models file; docs/models.md explains every field."
        )


class InvalidSchema(ConfigurationError):
    """The schema of an entry or of a model is not a JSON Schema."""

    def __init__(self, reason: object) -> None:
        super().__init__(
            f"the schema is not a JSON Schema: {reason}",
            "Correct the entry's `schema`, or the model's input_schema or output_schema.",
        )


class ModelMisconfigured(ConfigurationError):
    """A model's class cannot be imported or constructed."""

    def __init__(self, model: str, adapter: str, cause: BaseException, remedy: str) -> None:
        super().__init__(f"cannot load model {model} ({adapter}): {describe(cause)}", remedy)


class UnusableEntry(ConfigurationError):
    """An adapter cannot use what an entry gives it, such as its artifact."""

    def __init__(self, field: str, reason: str, remedy: str) -> None:
        super().__init__(f"{field}: {reason}", remedy)


class ModelLoadFailed(TidemillError):
    """A model's constructor failed because it lacked a file, a server or memory."""

    def __init__(self, model: str, cause: BaseException) -> None:
        super().__init__(
            f"model {model} failed to load: {describe(cause)}",
            "Check the entry's options, and that the files and servers that it needs are there.",
        )


class SampleMissing(ConfigurationError):
    """Neither the entry nor the model has a sample."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"model {model} has no sample",
            "Add `sample: …` to its entry: an input that must always succeed.",
        )


class ModelProcessesEnded(TidemillError):
    """All processes that run models ended again and again, with the server that forks them."""

    def __init__(self, model: str, times: int) -> None:
        super().__init__(
            f"the processes of model {model} ended {times} times before they answered",
            "Look for an out-of-memory kill in the system's log. Give the job more memory, or "
            "lower `pool.processes`.",
        )


class PoolUnavailable(TidemillError):
    """No processes for the models can be started."""

    def __init__(self, reason: object) -> None:
        super().__init__(
            f"cannot start the model processes: {reason}",
            "They need Linux 5.4 or later, and a folder for temporary files that this user owns.",
        )


class ModelUnavailable(TidemillError):
    """The model fails even on its own sample, so no message is blamed."""

    def __init__(self, model: str, cause: object) -> None:
        hint = getattr(cause, "hint", "") or (
            "Correct the model or its sample, or bring back what it depends on. No message is "
            "blamed. The log's level DEBUG shows the traceback."
        )
        super().__init__(f"model {model} fails on its own sample: {cause}", hint)


class UnknownModel(ConfigurationError):
    """A command names a model that models.yaml does not have."""

    def __init__(self, kind: str, name: str, near: Iterable[str]) -> None:
        names = " or ".join(near)
        suggestion = f"Did you mean {names}? " if names else ""
        super().__init__(
            f"no {kind} is named {name!r}", f"{suggestion}`tidemill models list` shows all models."
        )


class SeveralModels(ConfigurationError):
    """A command needs one model, but several have the name."""

    def __init__(self, name: str, models: Sequence[str]) -> None:
        super().__init__(
            f"{len(models)} models are named {name!r}: {', '.join(models)}",
            "Name one of them as NAME:VERSION, or choose a variant with --variant or --key.",
        )
