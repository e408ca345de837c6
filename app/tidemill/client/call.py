"""Define a request, as every transport sends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from tidemill.client.rows import rows

if TYPE_CHECKING:
    from collections.abc import Iterable


# The header, or metadata, with the model by which a proxy may choose a server.
MODEL = "tidemill-model"

# What precedes the name of a table of the store.
TABLES = "features:"


@dataclass(frozen=True, slots=True)
class Call:
    """A request: the model's name or path, and the inputs, each a JSON text.

    `version` picks a version of a model that is named. `key` and `variant` choose the variant of an
    A/B test.
    """

    model: str
    inputs: tuple[bytes, ...]
    version: str | None = None
    key: str | None = None
    variant: str | None = None

    @property
    def choice(self) -> dict[str, str]:
        """Return what chooses the variant."""
        given = {"key": self.key, "variant": self.variant}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def is_v2(self) -> bool:
        """Return whether the request has no plain form: a version, or a table of the store."""
        return self.version is not None or self.model.startswith(TABLES)

    @property
    def path(self) -> str:
        """Return the path for plain requests."""
        path = self.model if self.model.startswith("/") else f"/{self.model}"
        return quote(path, safe="/%")


def encode(inputs: Iterable[object]) -> tuple[bytes, ...]:
    """Return inputs as JSON texts; numbers of NumPy and times of pandas are welcome.

    Raises:
        TypeError: A value has no JSON form, or the inputs are no list.

    """
    return tuple(_ENCODER.encode(each) for each in rows(inputs))


def _from_other_libraries(value: Any) -> Any:  # noqa: ANN401 - whatever has no JSON form
    for convert in ("tolist", "isoformat"):
        if method := getattr(value, convert, None):
            return method()
    raise TypeError(f"{type(value).__name__} has no JSON form")


_ENCODER = msgspec.json.Encoder(enc_hook=_from_other_libraries)
