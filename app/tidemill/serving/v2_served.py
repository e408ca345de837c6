"""Answer V2's questions about models and about tables of the store alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidemill.errors import TidemillError
from tidemill.serving import v2, v2_models, v2_tables
from tidemill.serving.catalogue import TableTarget
from tidemill.serving.models import READY

if TYPE_CHECKING:
    from tidemill.serving.catalogue import Catalogue, Target
    from tidemill.serving.parts import Parts
    from tidemill.serving.v2_messages import InferRequest, InferResponse


async def infer(
    parts: Parts, target: Target | TableTarget, request: InferRequest, seconds: float | None
) -> InferResponse:
    """Answer a request.

    Raises:
        TidemillError: The request cannot be answered; `status` says what that means.

    """
    if isinstance(target, TableTarget):
        found = v2_tables.infer(parts.of_store, target, request)
        return await parts.service.within(seconds, found)
    return await v2.infer(parts.service, parts.models, target, request, seconds=seconds)


async def metadata(
    parts: Parts, catalogue: Catalogue, name: str, version: str | None, seconds: float | None
) -> dict[str, Any]:
    """Return the metadata of a model or a table.

    Raises:
        TidemillError: There is no such thing, or it cannot be described.

    """
    target = catalogue.find_served(name, version)
    if isinstance(target, TableTarget):
        return await parts.service.within(seconds, v2_tables.metadata(parts.of_store, target))
    return await v2_models.metadata(
        parts.service, parts.models, catalogue, name, version, seconds=seconds
    )


async def readiness_problem(
    parts: Parts, target: Target | TableTarget, seconds: float | None
) -> TidemillError | None:
    """Return why a target is not ready; None if it is.

    Raises:
        DeadlineExceeded: It does not answer in time.

    """
    if not isinstance(target, TableTarget):
        return await v2_models.readiness_problem(
            parts.service, parts.models, target, seconds=seconds
        )
    try:
        await parts.service.within(seconds, v2_tables.metadata(parts.of_store, target))
    except TidemillError as error:
        return error
    return None


def index(parts: Parts, catalogue: Catalogue, *, only_ready: bool) -> list[dict[str, str]]:
    """List all models and tables, as Triton's extension `model_repository` does."""
    listed = v2_models.index(catalogue, parts.models)
    live = parts.tables.live if parts.tables else {}
    listed += [v2_tables.index(each) for name, each in live.items() if catalogue.has_table(name)]
    return [each for each in listed if each["state"] == READY or not only_ready]
