"""Predict with the models of an artifact: find them by key, ask those of a template together."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec

from tidemill.errors import InvalidInput, UntrustedPickle
from tidemill.packing.artifact import Artifact
from tidemill.packing.kinds import UNSAFE, kind
from tidemill.packing.queries import DATES, KEY, MAX_NAMED, Options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.packing.artifact import Place
    from tidemill.packing.kinds import Forecast
    from tidemill.packing.queries import Query

# Up to so many keys, an error suggests similar ones, which takes milliseconds.
MAX_COMPARED = 300


class PackedModels:
    """The models of an artifact."""

    def __init__(self, artifact: Artifact) -> None:
        """Take an artifact that may be loaded."""
        self.artifact = artifact

    @classmethod
    def open(cls, folder: Path | str, *, trust: str | None = None) -> Self:
        """Open and verify an artifact.

        Raises:
            ArtifactUnreadable, ArtifactTooNew, ArtifactDamaged, UnknownKind: There is no usable
                artifact.
            UntrustedPickle: It has pickles, which only `trust="pickle"` allows.
            MissingExtra: A kind needs a package that is not installed.

        """
        artifact = Artifact.open(folder)
        for each in artifact.manifest.templates:
            kind(each.kind).check()
        pickled = any(each.kind.startswith(UNSAFE) for each in artifact.manifest.templates)
        if pickled and trust != "pickle":
            raise UntrustedPickle(Path(folder).name)
        return cls(artifact)

    @cached_property
    def columns(self) -> frozenset[str]:
        """Return the columns that any of the models needs, besides its key and dates."""
        templates = self.artifact.manifest.templates
        return frozenset(
            name
            for template in templates
            for name in kind(template.kind).columns(bytes(template.content))
        )

    @cached_property
    def sample(self) -> str | None:
        """Return an input for the first model; None if there are no models."""
        key = next(iter(self.artifact), None)
        if key is None:
            return None
        (place,) = self.artifact.places([key])
        template = self.artifact.template(place) if place else self.artifact.manifest.templates[0]
        names = kind(template.kind).columns(bytes(template.content))
        values = dict.fromkeys(names, 1.0) | ({"cap": 1e9} if "cap" in names else {})
        return msgspec.json.encode({KEY: key, DATES: "2026-01-31"} | values).decode()

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
            if len(query.dates) > options.most_dates:
                results[index] = InvalidInput(
                    f"there are {len(query.dates)} dates; with {options.samples} samples, ask for "
                    f"at most {options.most_dates} at once"
                )
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
        key = key[:MAX_NAMED]
        near = get_close_matches(key, self.artifact) if len(self.artifact) <= MAX_COMPARED else []
        names = f"; there are {', '.join(near)}" if near else ""
        return InvalidInput(f"there is no model with the key {key!r}{names}")
