"""Define what a kind of model can do, and list the kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from tidemill.errors import UnknownKind
from tidemill.packing.pickled import COMPRESSIONS, Pickled
from tidemill.packing.prophet.fallback import ProphetJson
from tidemill.packing.prophet.kind import ProphetRows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.errors import InvalidInput
    from tidemill.packing.arrays import Floats
    from tidemill.packing.queries import Options, Query

    # The columns of a forecast by name, with a number for each date of its query.
    Forecast: TypeAlias = dict[str, Floats]


class Kind(Protocol):
    """A kind of model: how it becomes bytes, and how models of one template predict.

    A kind that keeps numbers only is safe to load. One that keeps pickles must not be loaded unless
    the user trusts the artifact.
    """

    def pack(self, key: str, model: Any) -> tuple[bytes, bytes]:  # noqa: ANN401 - any model
        """Return the template, as JSON, and the item of a fitted model.

        Raises:
            Unpackable: The kind cannot hold this model.

        """
        ...

    def check(self) -> None:
        """Check that what the kind needs to predict is installed.

        Raises:
            MissingExtra: It is not.

        """
        ...

    def columns(self, template: bytes) -> tuple[str, ...]:
        """Return the columns that models of a template need, as far as it says so."""
        ...

    def predict(
        self, template: bytes, items: Sequence[bytes], queries: Sequence[Query], options: Options
    ) -> list[Forecast | InvalidInput]:
        """Return a forecast for each query, from the item at the same index."""
        ...


UNSAFE = "pickle-"
KINDS: dict[str, Kind] = {
    "prophet": ProphetRows(),
    "prophet-json": ProphetJson(),
    **{f"{UNSAFE}{name}": Pickled(name) for name in COMPRESSIONS},
}


def kind(name: str) -> Kind:
    """Return a kind by its name.

    Raises:
        UnknownKind: There is no such kind.

    """
    if name not in KINDS:
        raise UnknownKind(name, KINDS)
    return KINDS[name]
