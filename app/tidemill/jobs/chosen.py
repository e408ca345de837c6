"""Load the models that a job's settings name, and choose those that a task names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tidemill import logs, settings
from tidemill.errors import ModelNotChosen
from tidemill.models import catalogue, lookup

if TYPE_CHECKING:
    from tidemill.inference.model import ModelSpec
    from tidemill.inference.route import Route
    from tidemill.settings import Settings


def load(config: str) -> tuple[Settings, tuple[Route, ...]]:
    """Return the settings in a file, as `tidemill batch --config` reads them, and their models.

    Raises:
        ConfigurationError: A setting is wrong, or an entry of the models file.

    """
    loaded = settings.load(Path(config))
    logs.configure(loaded.log.format, loaded.log.level)
    return loaded, catalogue.load_models(loaded.models)


def every_row(routes: tuple[Route, ...], name: str | None) -> tuple[Route, ...]:
    """Return the one route with a name, made to answer every row; without a name, all routes.

    Raises:
        UnknownModel: No model has the name.
        ModelNotChosen: Several entries have it.

    """
    if name is None:
        return routes
    selected = lookup.select(routes, [name])
    route = selected[0][0]
    if any(each is not route for each, _ in selected):
        raise ModelNotChosen([variant.spec.id for _, variant in selected])
    variants = tuple(variant for _, variant in selected)
    return (msgspec.structs.replace(route, match={}, variants=variants),)


def one_model(routes: tuple[Route, ...], name: str | None) -> ModelSpec:
    """Return the model with a name; without a name, the only one.

    Raises:
        UnknownModel: No model has the name.
        ModelNotChosen: Several have it, or there are several.

    """
    selected = lookup.select(routes, [] if name is None else [name])
    if len(selected) > 1:
        raise ModelNotChosen([variant.spec.id for _, variant in selected])
    return selected[0][1].spec
