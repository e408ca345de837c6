"""Define the errors of packed models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.errors.base import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable


class Unpackable(ConfigurationError):
    """A model cannot be packed."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(
            f"the model {key!r} cannot be packed: {reason}",
            "Leave it out, or pack it with `--kind pickle`.",
        )


class UnknownKind(ConfigurationError):
    """There is no such kind of packed models in this release."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(
            f"there is no kind of packed models {name!r}",
            f"This release has {', '.join(known)}.",
        )


class CalendarEnded(ConfigurationError):
    """A date is outside of the calendar of holidays in an artifact."""

    def __init__(self, country: str, year: int, first: int, last: int) -> None:
        super().__init__(
            f"the artifact has the holidays of {country} from {first} to {last}, not of {year}",
            "Install the package holidays, which knows other years.",
        )


class ArtifactUnreadable(ConfigurationError):
    """There is no artifact of packed models."""

    def __init__(self, folder: object, reason: object) -> None:
        super().__init__(
            f"{folder} is no artifact of packed models: {reason}",
            "`tidemill pack create` writes one.",
        )


class ArtifactTooNew(ConfigurationError):
    """A later release has written the artifact."""

    def __init__(self, folder: object, version: int, known: int) -> None:
        super().__init__(
            f"{folder} has version {version} of the format; this release reads {known}",
            "Upgrade Tidemill, or pack the models again.",
        )


class ArtifactDamaged(ConfigurationError):
    """An artifact was changed after it had been written."""

    def __init__(self, folder: object, part: str, reason: object) -> None:
        super().__init__(
            f"{folder} is damaged: {part}: {reason}",
            "Copy the artifact again, or pack the models again.",
        )


class UntrustedPickle(ConfigurationError):
    """An artifact has pickles, and the user did not say that they can be trusted."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} has pickles, which can run any code when they are loaded",
            "If you trust the artifact, add the line `trust: pickle` to the entry.",
        )


class DuplicateKey(ConfigurationError):
    """Two models have the same key."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"there are two models with the key {key!r}",
            "Name each model only once; `--replace` lets a new model take an old one's place.",
        )


class UnknownModelKey(ConfigurationError):
    """An artifact has no model with a key."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"there is no model with the key {key!r}",
            "`tidemill pack show` lists the keys.",
        )
