"""Tell about the server and its models, as V2 does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidemill import __version__
from tidemill.errors import TidemillError
from tidemill.serving import rows

if TYPE_CHECKING:
    from tidemill.inference.model import ModelSpec
    from tidemill.models.pool.outputs import Description
    from tidemill.serving.catalogue import Catalogue, Target
    from tidemill.serving.models import Models
    from tidemill.serving.service import Service

SERVER: dict[str, Any] = {
    "name": "tidemill",
    "version": __version__,
    "extensions": ["model_repository", "binary_tensor_data"],
}


async def describe(models: Models, target: Target) -> tuple[ModelSpec, Description]:
    """Return one of a target's models that loads, and its sample and schemas.

    Raises:
        TidemillError: None loads.

    """
    errors = []
    for spec in sorted(target.specs, key=models.doubt):
        try:
            return spec, await models.describe(spec)
        except TidemillError as error:
            errors.append(error)
    raise errors[0]


async def metadata(
    service: Service,
    models: Models,
    catalogue: Catalogue,
    name: str,
    version: str | None,
    *,
    seconds: float | None = None,
) -> dict[str, Any]:
    """Return the metadata of a model.

    Raises:
        TidemillError: There is no such model, or it does not load.

    """
    target = catalogue.find(name, version)
    spec, described = await service.within(seconds, describe(models, target))
    return {
        "name": name,
        "versions": list(catalogue.versions(name)),
        "platform": f"tidemill_{spec.adapter.partition(':')[0]}",
        "inputs": rows.describe(rows.INPUT, None if spec.is_text else described.input_schema),
        "outputs": rows.describe(spec.result, described.output_schema),
    }


async def readiness_problem(
    service: Service, models: Models, target: Target, *, seconds: float | None = None
) -> TidemillError | None:
    """Return why one of a target's models is not ready; None if all are.

    Raises:
        DeadlineExceeded: A model does not answer in time.

    """

    async def first_problem() -> TidemillError | None:
        for spec in target.specs:
            if problem := await models.problem(spec):
                return problem
        return None

    return await service.within(seconds, first_problem())


def index(catalogue: Catalogue, models: Models) -> list[dict[str, str]]:
    """List all models, as Triton's extension `model_repository` does."""
    specs = [variant.spec for route in catalogue.routes for variant in route.variants]
    return [
        {"name": spec.name, "version": spec.version, "state": state, "reason": reason}
        for spec in specs
        for state, reason in [models.state(spec)]
    ]
