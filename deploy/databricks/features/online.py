"""The Online Feature Store, and the tables that it keeps for look-ups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from databricks.sdk.service.ml import (
    OnlineStore,
    OnlineStoreState,
    PublishSpec,
    PublishSpecPublishMode,
)

from deploy.databricks.features.errors import Broken, Differs
from deploy.databricks.features.requests import Request, or_none

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

    from deploy.databricks.features.description import Online, Store, Table


@dataclass(frozen=True, slots=True)
class OnlineFeatureStore:
    """An Online Feature Store."""

    store: Store

    @property
    def what(self) -> str:
        """Its kind and name."""
        return f"online store {self.store.name}"

    def find(self, client: WorkspaceClient) -> OnlineStore | None:
        """Return the store."""
        return or_none(lambda: client.feature_store.get_online_store(self.store.name))

    def requests(self, found: OnlineStore | None) -> list[Request]:
        """Return the request that creates it, or changes its size."""
        wanted = OnlineStore(
            name=self.store.name,
            capacity=self.store.capacity,
            read_replica_count=self.store.read_replicas,
        )
        if found is None:
            return [Request("feature_store.create_online_store", {"online_store": wanted})]
        changed = {
            "capacity": found.capacity != wanted.capacity,
            "read_replica_count": (found.read_replica_count or 0) != wanted.read_replica_count,
        }
        mask = ",".join(field for field, differs in changed.items() if differs)
        arguments = {"name": wanted.name, "online_store": wanted, "update_mask": mask}
        return [Request("feature_store.update_online_store", arguments)] if mask else []

    def waits_for(self, found: OnlineStore | None) -> str | None:
        """Return the state of a store that is not available.

        Raises:
            Broken: Somebody deletes or has stopped it.

        """
        state = found.state if found else None
        if state in {OnlineStoreState.DELETING, OnlineStoreState.STOPPED}:
            raise Broken(self.what, state.value)
        return None if state is OnlineStoreState.AVAILABLE else state.value if state else "missing"


@dataclass(frozen=True, slots=True)
class Published:
    """What the workspace says about an online table, in one of its two database APIs."""

    source: str
    mode: str
    state: str


@dataclass(frozen=True, slots=True)
class OnlineTable:
    """A table's copy in the online store.

    Attributes:
        again: Whether to publish it again, which copies new rows, unless it follows by itself.

    """

    table: Table
    online: Online
    store: str
    again: bool = False

    @property
    def what(self) -> str:
        """Its kind and name."""
        return f"online table {self.online.name}"

    def find(self, client: WorkspaceClient) -> Published | None:
        """Return the online table."""
        return _provisioned(client, self.online.name) or _autoscaling(client, self.online.name)

    def requests(self, found: Published | None) -> list[Request]:
        """Return the request that publishes the table.

        Raises:
            Differs: The online table has another source or mode, which nothing can change.

        """
        mode = self.online.mode.upper()
        wanted = {"source": self.table.name, "mode": mode}
        has = {"source": found.source.lower(), "mode": found.mode} if found else wanted
        if has != wanted:
            problems = [f"its {n} is {has[n]}, not {wanted[n]}" for n in has if has[n] != wanted[n]]
            remedy = "choose another name, or delete it with the SDK's delete_online_table"
            raise Differs(self.what, problems, remedy)
        if found and not (self.again and self.online.mode != "continuous"):
            return []
        spec = PublishSpec(
            online_store=self.store,
            online_table_name=self.online.name,
            publish_mode=PublishSpecPublishMode(mode),
        )
        arguments = {"source_table_name": self.table.name, "publish_spec": spec}
        return [Request("feature_store.publish_table", arguments)]

    def waits_for(self, found: Published | None) -> str | None:
        """Return the state of a table that is not online.

        Raises:
            Broken: Its pipeline failed.

        """
        state = found.state if found else "missing"
        if "FAILED" in state:
            raise Broken(self.what, state)
        return None if "_ONLINE" in state else state


def _provisioned(client: WorkspaceClient, name: str) -> Published | None:
    """Read an online table of a provisioned Lakebase instance."""
    table = or_none(lambda: client.database.get_synced_database_table(name))
    if table is None or table.spec is None:
        return None
    status, policy = table.data_synchronization_status, table.spec.scheduling_policy
    state = status.detailed_state if status else None
    return Published(
        source=table.spec.source_table_full_name or "",
        mode=policy.value if policy else "",
        state=state.value if state else "PROVISIONING",
    )


def _autoscaling(client: WorkspaceClient, name: str) -> Published | None:
    """Read an online table of a Lakebase project, which new online stores are."""
    table = or_none(lambda: client.postgres.get_synced_table(f"synced_tables/{name}"))
    if table is None or table.spec is None:
        return None
    policy, state = table.spec.scheduling_policy, table.status and table.status.detailed_state
    return Published(
        source=table.spec.source_table_full_name or "",
        mode=policy.value if policy else "",
        state=state.value if state else "PROVISIONING",
    )
