"""Predict with the models of an artifact: find them by key, ask those of a template together."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tidemill.errors import InvalidInput, UntrustedPickle
from tidemill.packing.artifact import Artifact
from tidemill.packing.kinds import UNSAFE, kind
from tidemill.packing.queries import Options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.packing.artifact import Place
    from tidemill.packing.kinds import Forecast
    from tidemill.packing.queries import Query

# Up to so many keys, an error suggests similar ones.
MAX_COMPARED = 10_000


class PackedModels:
    """The models of an artifact."""

    def __init__(self, artifact: Artifact) -> None:
        """Take an artifact that may be loaded."""
        self.artifact = artifact

    @classmethod
    def open(cls, folder: Path | str, *, trust: str | None = None) -> Self:
        """Open and verify an artifact.

        Raises:
            ArtifactUnreadable, ArtifactTooNew, ArtifactDamaged: There is no usable artifact.
            UntrustedPickle: It has pickles, which only `trust="pickle"` allows.

        """
        artifact = Artifact.open(folder)
        pickled = any(each.kind.startswith(UNSAFE) for each in artifact.manifest.templates)
        if pickled and trust != "pickle":
            raise UntrustedPickle(Path(folder).name)
        return cls(artifact)

    def predict(
        self, queries: Sequence[Query], options: Options | None = None
    ) -> list[Forecast | InvalidInput]:
        """Return a forecast, or why there is none, for each query."""
        options = options or Options()
        results: dict[int, Forecast | InvalidInput] = {}
        groups: dict[tuple[str, bytes], list[tuple[int, Place]]] = {}
        places = self.artifact.places(query.key for query in queries)
        for index, (query, place) in enumerate(zip(queries, places, strict=True)):
            if place is None:
                results[index] = self._unknown(query.key)
                continue
            template = self.artifact.template(place)
            own = template.kind, bytes(template.content)
            groups.setdefault(own, []).append((index, place))
        for (name, content), group in groups.items():
            asked = [queries[index] for index, _ in group]
            items = [bytes(self.artifact.item(place)) for _, place in group]
            found = kind(name).predict(content, items, asked, options)
            results |= {index: each for (index, _), each in zip(group, found, strict=True)}
        return [results[index] for index in range(len(queries))]

    def _unknown(self, key: str) -> InvalidInput:
        near = get_close_matches(key, self.artifact) if len(self.artifact) <= MAX_COMPARED else []
        names = f"; there are {', '.join(near)}" if near else ""
        return InvalidInput(f"there is no model with the key {key[:100]!r}{names}")
