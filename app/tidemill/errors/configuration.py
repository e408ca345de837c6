"""Define the errors of settings, files and command lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.errors.base import ConfigurationError, SeveralProblems, TidemillError

if TYPE_CHECKING:
    from collections.abc import Iterable


class InvalidSettings(SeveralProblems):
    """A setting is unknown, or its value is wrong."""

    def __init__(self, source: str, problems: Iterable[str]) -> None:
        super().__init__("settings", problems, f"Correct the settings ({source}).")


class SettingsFileUnreadable(ConfigurationError):
    """A YAML file is missing, or is not a YAML mapping."""

    def __init__(self, path: object, reason: object, hint: str = "") -> None:
        super().__init__(f"cannot read {path}: {reason}", hint or "Name a readable YAML file.")


class MissingExtra(ConfigurationError, ImportError):
    """A command, a name or an adapter needs packages that are not installed."""

    def __init__(self, extra: str, module: str) -> None:
        super().__init__(
            f"the Python package {module} is not installed",
            f'Install it with pip install "tidemill[{extra}]".',
        )


class InputUnreadable(ConfigurationError):
    """The input is missing, or has an unknown format."""

    def __init__(
        self,
        path: object,
        reason: object,
        hint: str = "Name a readable file or folder with --input, if needed as FORMAT:PATH.",
    ) -> None:
        super().__init__(f"cannot read {path}: {reason}", hint)


class OutputExists(ConfigurationError):
    """The output folder of a batch exists already."""

    def __init__(
        self, path: object, hint: str = "Name another output folder, or remove it."
    ) -> None:
        super().__init__(f"{path} exists already", hint)


class OutputUnusable(ConfigurationError):
    """The output cannot be written there."""

    def __init__(
        self, path: object, reason: object, hint: str = "Name another output folder."
    ) -> None:
        super().__init__(f"cannot write to {path}: {reason}", hint)


class OutputInUse(ConfigurationError):
    """Another run of the same batch is writing the output."""

    def __init__(self, path: object) -> None:
        super().__init__(
            f"another run writes this output: it uses {path}",
            "Wait until it has ended, or name another output.",
        )


class InputChanged(TidemillError):
    """The input of a batch changed while it was read."""

    def __init__(self, path: object) -> None:
        super().__init__(
            f"{path} changed while it was read, so nothing was published",
            "Run the command again once nothing writes to the input: it starts over.",
        )


class NoValueColumn(ConfigurationError):
    """A DataFrame has no column with messages."""

    def __init__(self, columns: Iterable[str]) -> None:
        super().__init__(
            f"the DataFrame has no column 'value' (it has {', '.join(columns) or 'none'})",
            "Give it a column 'value' of type binary or string that holds the messages.",
        )


class WrongColumnType(SeveralProblems):
    """A column of a DataFrame has a record column's name, but another type."""

    def __init__(self, columns: Iterable[tuple[str, str, str]]) -> None:
        super().__init__(
            "wrong types",
            (f"the column {name!r} is {actual}, not {needed}" for name, actual, needed in columns),
            "Cast the column, or rename it if it is not part of the record.",
        )


class InvalidProjectName(ConfigurationError):
    """A new model's name cannot name a Python module."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"{name!r} cannot be a model's name: {reason}",
            "Choose another name, such as my-model.",
        )


class FolderExists(ConfigurationError):
    """The folder for a new model exists already."""

    def __init__(self, path: object) -> None:
        super().__init__(f"{path} exists already", "Choose another name, or remove the folder.")


class MetricsAddressUnusable(ConfigurationError):
    """No server can ever listen on the address for /metrics and the probes."""

    def __init__(self, host: str, port: int, reason: object) -> None:
        super().__init__(
            f"cannot serve /metrics and the probes on {host}:{port}: {reason}",
            "Set monitoring.metrics_host (a worker's is tasks.metrics_host) to 127.0.0.1, 0.0.0.0 "
            "or an address of this machine.",
        )


class MetricsPortUnset(ConfigurationError):
    """A probe needs a fixed port."""

    def __init__(self, port: int | None) -> None:
        super().__init__(
            f"monitoring.metrics_port is {'null' if port is None else port}",
            "Set it to a fixed port number, the same for the job and the probe.",
        )
