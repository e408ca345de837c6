"""Define the errors of models that are misconfigured, do not load, or are down."""

from __future__ import annotations

from tidemill.errors.base import ConfigurationError, SeveralProblems, TidemillError, describe


class InvalidModels(SeveralProblems):
    """models.yaml describes an impossible model."""

    def __init__(self, source: object, *problems: object) -> None:
        super().__init__(
            str(source), problems, "Correct the models file; docs/models.md explains every field."
        )


class ModelMisconfigured(ConfigurationError):
    """A model's class cannot be imported or constructed."""

    def __init__(
        self,
        model: str,
        adapter: str,
        cause: BaseException,
        *,
        missing: str = "",
        similar: str | None = "",
        arguments: bool = False,
    ) -> None:
        """Describe the cause; the rest decides on the hint.

        `missing` is a module that was not found. `similar` is the most similar name in the
        adapter's module, None if the module has no such class. `arguments` means that the class or
        its arguments are wrong.
        """
        super().__init__(
            f"cannot load model {model} ({adapter}): {describe(cause)}",
            _remedy(adapter, missing, similar, arguments=arguments),
        )


def _remedy(adapter: str, missing: str, similar: str | None, *, arguments: bool) -> str:
    """Say what to do about a model that cannot be loaded."""
    module, _, name = adapter.partition(":")
    if missing and (module == missing or module.startswith(f"{missing}.")):
        return (
            f"The module {missing} must be installed, lie in the working folder, or be on "
            "PYTHONPATH."
        )
    if missing:
        return f"The model imports {missing}: install it beside Tidemill."
    if similar:
        return f"Did you mean {module}:{similar}?"
    if similar is None:
        return f"{module} has no class {name}."
    if arguments:
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
