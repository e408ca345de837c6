"""Pack fitted models into an artifact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tidemill.errors import Unpackable
from tidemill.packing.kinds import kind
from tidemill.packing.writer import Packed, write

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tidemill.packing.artifact import Artifact

# The kinds that need no trust, best first.
SAFE = ("prophet", "prophet-json")


def pack(
    folder: Path,
    models: Mapping[str, Any] | Iterable[tuple[str, Any]],
    *,
    kinds: Iterable[str] = SAFE,
    base: Artifact | None = None,
    remove: Iterable[str] = (),
    replace: bool = False,
) -> None:
    """Write an artifact with fitted models by key; see `write` for the rest.

    Each model is packed as the first of some kinds that can hold it.

    Raises:
        Unpackable: No kind can hold a model.
        OutputExists, OutputUnusable, DuplicateKey, UnknownModelKey: As `write` does.

    """
    pairs = models.items() if isinstance(models, Mapping) else models
    write(folder, packed(pairs, tuple(kinds)), base=base, remove=remove, replace=replace)


def packed(models: Iterable[tuple[str, Any]], kinds: tuple[str, ...]) -> Iterator[Packed]:
    """Yield models as bytes.

    Raises:
        Unpackable: No kind can hold a model.

    """
    for key, model in models:
        errors = []
        for name in kinds:
            try:
                yield Packed(key, name, *kind(name).pack(key, model))
                break
            except Unpackable as error:
                errors.append(error)
        else:
            raise errors[-1]
