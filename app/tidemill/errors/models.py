"""Models that are misconfigured, do not load, or are down."""

from __future__ import annotations

from tidemill.errors.base import ConfigurationError, TidemillError, describe


class InvalidModels(ConfigurationError):
    """models.yaml describes an impossible model."""

    def __init__(self, source: object, problem: object) -> None:
        super().__init__(f"{source}: {problem}", "Correct the entry, and run `tidemill check`.")


class ModelMisconfigured(ConfigurationError):
    """A model's class cannot be imported or constructed."""

    def __init__(self, model: str, adapter: str, cause: BaseException) -> None:
        super().__init__(
            f"cannot load model {model} ({adapter}): {describe(cause)}",
            "Check the entry's adapter and options. The module must be installed, lie in the "
            "working folder, or be on PYTHONPATH.",
        )


class ModelLoadFailed(TidemillError):
    """A model's constructor failed because it lacked a file, a server or memory."""

    def __init__(self, model: str, cause: BaseException) -> None:
        super().__init__(
            f"model {model} failed to load: {describe(cause)}",
            "Check the entry's options, and that the files and servers that it needs are there.",
        )


class ModelUnavailable(TidemillError):
    """The model fails even on its own sample: it is down, and no message is blamed."""

    def __init__(self, model: str, cause: object) -> None:
        super().__init__(
            f"model {model} is down, because it fails on its own sample: {cause}",
            "Bring back what the model depends on, or correct its sample in models.yaml. Nothing "
            "was dead-lettered: the job answers all of them once the model works.",
        )
