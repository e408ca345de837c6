"""Describe the HTTP interface: an OpenAPI document with an example request for each model."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from tidemill import __version__
from tidemill.errors import TidemillError
from tidemill.serving import openapi_schemas, openapi_tables, openapi_tasks
from tidemill.serving.catalogue import Target
from tidemill.serving.openapi_schemas import PROBLEM, SCHEMAS, TEXT, Input

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemill.inference.model import ModelSpec
    from tidemill.serving.catalogue import Catalogue
    from tidemill.serving.parts import Parts

# With more models, the document asks none of them for its example.
MAX_EXAMPLES = 500


async def document(parts: Parts, catalogue: Catalogue) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document: a path for each model, and those of tables and tasks."""
    targets = dict(_targets(catalogue))
    may_ask = len(targets) <= MAX_EXAMPLES
    inputs = await asyncio.gather(
        *(_input(parts, target.specs[0], may_ask=may_ask) for target in targets.values())
    )
    described = zip(targets.items(), inputs, strict=True)
    live = parts.tables.live if parts.tables else {}
    tables = [each.table for name, each in live.items() if catalogue.has_table(name)]
    known = parts.tasks.jobs if parts.tasks else {}
    jobs = [job for name, job in known.items() if name in catalogue.jobs]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tidemill",
            "version": __version__,
            "description": "Each model answers under its own path, and under /v2 in the Open "
            "Inference Protocol.",
        },
        "paths": {
            path: {"post": _operation(path, target, each)} for (path, target), each in described
        }
        | (openapi_tables.paths(tables) if tables else {})
        | (openapi_tasks.paths(jobs) if jobs else {}),
        "components": {"schemas": SCHEMAS | (openapi_tasks.schemas(jobs) if jobs else {})},
    }


def _targets(catalogue: Catalogue) -> Iterator[tuple[str, Target]]:
    """Yield the path of each model: its own, or V2's if it has none."""
    paths = {id(route): path for path, route in catalogue.paths.items()}
    names = Counter(route.name for route in catalogue.routes)
    for route in catalogue.routes:
        if path := paths.get(id(route)):
            yield path, Target(route)
        elif names[route.name] == 1:
            yield f"/v2/models/{quote(route.name, safe='')}/infer", Target(route)
        else:
            for variant in route.variants:
                model = f"{variant.spec.name}/versions/{variant.spec.version}"
                yield f"/v2/models/{model}/infer", Target(route, variant)


def _operation(path: str, target: Target, each: Input) -> dict[str, Any]:
    """Return how to ask for a model's outputs."""
    is_v2 = path.startswith("/v2/")
    is_split = target.route.is_split and target.variant is None
    variants = [variant.name for variant in target.route.variants] if is_split else []
    body = openapi_schemas.v2_body if is_v2 else openapi_schemas.plain_body
    return {
        "summary": ", ".join(spec.id for spec in target.specs),
        "requestBody": body(each, variants),
        "responses": {
            "200": openapi_schemas.answer("Inference" if is_v2 else "Outputs"),
            "default": PROBLEM,
        },
    }


async def _input(parts: Parts, spec: ModelSpec, *, may_ask: bool) -> Input:
    """Return what a model takes. Ask the model itself only for what its entry does not say."""
    sample, schema = spec.sample, spec.schema
    is_known = sample is not None and (spec.is_text or schema is not None)
    if may_ask and not is_known:
        try:
            described = await parts.service.within(None, parts.models.describe(spec))
            sample, schema = described.sample, described.input_schema
        except TidemillError:
            pass  # the document is still useful
    if spec.is_text:
        schema = TEXT | (schema or {})
    elif sample is not None:
        sample = msgspec.json.decode(sample)
    return Input(schema or {}, spec.is_text, () if sample is None else (sample,))
