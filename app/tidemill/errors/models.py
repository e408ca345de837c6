"""Define the errors of models that are misconfigured, do not load, or are down."""

from __future__ import annotations

from difflib import get_close_matches

from tidemill.errors.base import ConfigurationError, SeveralProblems, TidemillError, describe


class InvalidModels(SeveralProblems):
    """models.yaml describes an impossible model."""

    def __init__(self, source: object, *problems: object) -> None:
        super().__init__(
            str(source), problems, "Correct the models file; docs/models.md explains every field."
        )


class ModelMisconfigured(ConfigurationError):
    """A model's class cannot be imported or constructed."""

    def __init__(self, model: str, adapter: str, cause: BaseException) -> None:
        super().__init__(
            f"cannot load model {model} ({adapter}): {describe(cause)}", _remedy(adapter, cause)
        )


def _remedy(adapter: str, cause: BaseException) -> str:
    """Say what to do about a model that cannot be loaded."""
    module, _, name = adapter.partition(":")
    if isinstance(cause, ModuleNotFoundError) and cause.name:
        if module == cause.name or module.startswith(f"{cause.name}."):
            return (
                f"The module {cause.name} must be installed, lie in the working folder, or be on "
                "PYTHONPATH."
            )
        return f"The model imports {cause.name}: install it beside Tidemill."
    if isinstance(cause, AttributeError) and cause.name == name:
        near = get_close_matches(name, dir(cause.obj), n=1)
        return f"Did you mean {module}:{near[0]}?" if near else f"{module} has no class {name}."
    if isinstance(cause, TypeError):
        return "The entry's options are the arguments of the class; it needs a method predict_all."
    return "Check the entry's adapter and options. The log's level DEBUG shows the traceback."


class ModelLoadFailed(TidemillError):
    """A model's constructor failed because it lacked a file, a server or memory."""

    def __init__(self, model: str, cause: BaseException) -> None:
        super().__init__(
            f"model {model} failed to load: {describe(cause)}",
            "Check the entry's options, and that the files and servers that it needs are there.",
        )


class ModelUnavailable(TidemillError):
    """The model fails even on its own sample, so no message is blamed."""

    def __init__(self, model: str, cause: object) -> None:
        hint = getattr(cause, "hint", "") or (
            "Correct the model or its sample, or bring back what it depends on. Its messages wait "
            "until it works. The log's level DEBUG shows the traceback."
        )
        super().__init__(f"model {model} fails on its own sample: {cause}", hint)
