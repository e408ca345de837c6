"""Publish what a description says: plan it, then bring each part, in order."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from databricks.sdk.service.sql import StatementResponse, StatementState

from deploy.databricks.features.errors import Broken, NotReady, NoWarehouse, StatementFailed
from deploy.databricks.features.online import OnlineFeatureStore, OnlineTable
from deploy.databricks.features.serving import FeatureEndpoint, ServedSpec, feature_spec
from deploy.databricks.features.tables import FeatureTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from databricks.sdk import WorkspaceClient

    from deploy.databricks.features.description import Description
    from deploy.databricks.features.requests import Request, Resource
    from deploy.databricks.workspace import Patience

POLL_S = 5.0
# Stands for a warehouse that is not known.
WAREHOUSE = "${DATABRICKS_WAREHOUSE_ID}"
RUNNING = {StatementState.PENDING, StatementState.RUNNING}
SUCCEEDED = {StatementState.SUCCEEDED, StatementState.CLOSED}


def resources(
    description: Description, warehouse: str = WAREHOUSE, *, refresh: bool = False
) -> Iterator[Resource[Any]]:
    """Yield all that a description has, each after what it needs."""
    for table in description.tables:
        yield FeatureTable(table, warehouse)
    if store := description.online_store:
        yield OnlineFeatureStore(store)
        for table in description.tables:
            if table.online:
                yield OnlineTable(table, table.online, store.name, again=refresh)
    if spec := description.feature_spec:
        yield ServedSpec(feature_spec(spec, description))
        if description.endpoint:
            yield FeatureEndpoint(description.endpoint, spec.name)


@dataclass(frozen=True, slots=True)
class Publication:
    """Publishes resources in a workspace.

    Attributes:
        client: The workspace; None for one that has nothing, to plan without any.
        patience: Repeats requests while the API is busy or fails; it also prints and sleeps.
        timeout: Seconds that each resource may take to become ready.
        clock: Returns seconds, to measure time-outs.

    """

    client: WorkspaceClient | None
    patience: Patience
    timeout: float = 1800.0
    clock: Callable[[], float] = time.monotonic

    def plan(self, wanted: Sequence[Resource[Any]]) -> list[dict[str, Any]]:
        """Return the requests that are still to send, as JSON; send none.

        Raises:
            DeploymentError: The API refuses, or the workspace has something else of a name.

        """
        return [
            {"what": resource.what} | request.shown()
            for resource in wanted
            for request in resource.requests(self._find(resource))
        ]

    def bring(self, wanted: Sequence[Resource[Any]]) -> None:
        """Publish the resources; wait for each to be ready before the next.

        Raises:
            DeploymentError: The API refuses, or something does not become ready.

        """
        for resource in wanted:
            found = self._find(resource)
            if found is not None and resource.requests(found):
                self._settle(resource)
            problem = f"cannot publish the {resource.what}"
            self.patience.ask(problem, partial(self._change, resource))
            self._wait(resource)

    def _find(self, resource: Resource[Any]) -> Any:  # noqa: ANN401 - of any resource
        if self.client is None:
            return None
        find = partial(resource.find, self.client)
        return self.patience.ask(f"cannot read the {resource.what}", find)

    def _change(self, resource: Resource[Any]) -> None:
        """Read the resource and send what it lacks: an earlier attempt may have sent it."""
        assert self.client
        for request in resource.requests(resource.find(self.client)):
            self._send(resource.what, request)

    def _send(self, what: str, request: Request) -> None:
        assert self.client
        response = request.send(self.client)
        while isinstance(response, StatementResponse):
            status = response.status
            state = status.state if status else None
            if state in SUCCEEDED:
                break
            if state not in RUNNING or not response.statement_id:
                reason = status.error.message if status and status.error else None
                raise StatementFailed(request.arguments["statement"], reason or str(state))
            self.patience.sleep(POLL_S)
            response = self.client.statement_execution.get_statement(response.statement_id)
        self.patience.tell(f"{what}: {request.method} done")

    def _settle(self, resource: Resource[Any]) -> None:
        """Wait for the end of an earlier change, as there can be one at a time."""
        try:
            self._wait(resource)
        except Broken as error:
            self.patience.tell(f"{error}; changing it")

    def _wait(self, resource: Resource[Any]) -> None:
        deadline = self.clock() + self.timeout
        told = None
        while state := resource.waits_for(self._find(resource)):
            if self.clock() >= deadline:
                raise NotReady(resource.what, state, self.timeout)
            if state != told:
                self.patience.tell(f"{resource.what}: {state}")
            told = state
            self.patience.sleep(POLL_S)


def check_warehouse(plan: Sequence[dict[str, Any]]) -> None:
    """Check that requests have a warehouse, if they need one.

    Raises:
        NoWarehouse: None is known.

    """
    for request in plan:
        if request.get("warehouse_id") == WAREHOUSE:
            raise NoWarehouse(request["what"])
