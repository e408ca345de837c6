"""Find the models that a person names."""

from __future__ import annotations

import re
from difflib import get_close_matches
from fnmatch import translate
from typing import TYPE_CHECKING, TypeAlias

from tidemill.errors import SeveralModels, UnknownModel
from tidemill.inference.route import Route, Variant

if TYPE_CHECKING:
    from collections.abc import Sequence

Selected: TypeAlias = tuple[Route, Variant]


def select(routes: Sequence[Route], names: Sequence[str] = ()) -> list[Selected]:
    """Return the models with any of the names, in the file's order; without names, all of them.

    A name is a model's name, NAME:VERSION, the name of a route, which stands for all its variants,
    or a route's path. `*` and `?` stand for any characters.

    Raises:
        UnknownModel: No model has one of the names.

    """
    everything = [(route, variant) for route in routes for variant in route.variants]
    if not names:
        return everything
    chosen: set[int] = set()
    for name in names:
        pattern = re.compile(translate(name))
        indexes = [i for i, each in enumerate(everything) if any(map(pattern.match, _names(each)))]
        if not indexes:
            raise UnknownModel("model", name, _nearest(name, everything))
        chosen.update(indexes)
    return [everything[index] for index in sorted(chosen)]


def choose(
    routes: Sequence[Route], name: str, *, variant: str | None = None, key: str | None = None
) -> Selected:
    """Return the one model with a name.

    If several variants of a route have it, `variant` names one of them, or a message's `key`
    chooses one as a stream would.

    Raises:
        UnknownModel: No model has the name, or none of those with the name is that variant.
        SeveralModels: Several models have the name.

    """
    selected = select(routes, [name])
    if variant is not None:
        known = [each.name for _, each in selected]
        selected = [(route, each) for route, each in selected if each.name == variant]
        if not selected:
            raise UnknownModel(f"variant of {name}", variant, filter(None, known))
    elif key is not None and len({id(route) for route, _ in selected}) == 1:
        route, _ = selected[0]
        selected = [(route, route.choose(key))] if len(selected) > 1 else selected
    if len(selected) > 1:
        raise SeveralModels(name, [each.spec.id for _, each in selected])
    return selected[0]


def _nearest(name: str, everything: Sequence[Selected]) -> list[str]:
    """Return the names most like one; those with a version only if it has one too."""
    known = {known for each in everything for known in _names(each)}
    return get_close_matches(name, sorted(k for k in known if (":" in k) == (":" in name)))


def _names(selected: Selected) -> list[str]:
    route, variant = selected
    names = [route.name, variant.spec.name, variant.spec.id]
    return names if route.path is None else [*names, route.path]
