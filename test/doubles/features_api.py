"""A fake of the APIs that publish features: documented requests, state, waits, errors, faults."""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import features_sql
from http_api import Asked, Json, served
from jobs_api import TOKEN, Fault
from jobs_shapes import FLAG, TEXT, WHOLE, Refused, check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAME = r"([\w.-]+)"
STORE = {"name": TEXT, "capacity": TEXT, "read_replica_count": WHOLE}
PUBLISH = {
    "publish_spec": {"online_store": TEXT, "online_table_name": TEXT, "publish_mode": TEXT},
}
LOOKUP = {
    "table": TEXT,
    "lookup_keys": [TEXT],
    "feature_names": [TEXT],
    "default_values": [{"feature": TEXT, "default_value": TEXT}],
}
SPEC = {"name": TEXT, "features": [{"feature_lookup": LOOKUP}]}
ENTITY = {
    "name": TEXT,
    "entity_name": TEXT,
    "workload_size": TEXT,
    "scale_to_zero_enabled": FLAG,
}
ENDPOINT = {"name": TEXT, "config": {"name": TEXT, "served_entities": [ENTITY]}}
STATEMENT = {
    "statement": TEXT,
    "warehouse_id": TEXT,
    "wait_timeout": TEXT,
    "on_wait_timeout": TEXT,
}
ONLINE = "SYNCED_TABLE_ONLINE_NO_PENDING_UPDATE"


class Missing(Exception):
    """A request for something that does not exist."""


class Taken(Exception):
    """A request that conflicts with what exists."""


ERRORS: dict[type[Exception], tuple[int, str]] = {
    Missing: (404, "RESOURCE_DOES_NOT_EXIST"),
    Taken: (409, "RESOURCE_CONFLICT"),
    Refused: (400, "INVALID_PARAMETER_VALUE"),
}


@dataclass
class FeatureWorkspace:
    """A workspace with a SQL warehouse, tables, stores, feature specs and endpoints.

    Attributes:
        looks: The number of requests that find something new still in the making.
        autoscaling: Whether the stores are Lakebase projects, which have another API.
        writes: The requests that changed something: the method and the path.

    """

    url: str = ""
    schemas: set[str] = field(default_factory=lambda: {"main.shop"})
    tables: dict[str, Json] = field(default_factory=dict)
    statements: dict[str, Json] = field(default_factory=dict)
    stores: dict[str, Json] = field(default_factory=dict)
    online: dict[str, Json] = field(default_factory=dict)
    specs: dict[str, Json] = field(default_factory=dict)
    endpoints: dict[str, Json] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    writes: list[str] = field(default_factory=list)
    looks: int = 2
    autoscaling: bool = False
    failing: str = ""

    # --- Unity Catalog and the SQL warehouse -----------------------------------------------------

    def get_table(self, name: str, _: Asked) -> Json:
        """Return a table."""
        return _found(self.tables, name)

    def run_statement(self, asked: Asked) -> Json:
        """Run a statement, which ends when it is asked about."""
        check(asked.body, STATEMENT, "body")
        if asked.body["warehouse_id"] != "w1":
            raise Missing("no such warehouse")
        number = str(len(self.statements) + 1)
        status: Json = {"state": "SUCCEEDED"}
        try:
            features_sql.run(asked.body["statement"], self.tables, self.schemas)
        except Refused as error:
            status = {"state": "FAILED", "error": {"message": str(error)}}
        self.statements[number] = {"statement_id": number, "status": status}
        return {"statement_id": number, "status": {"state": "PENDING"}}

    def get_statement(self, number: str, _: Asked) -> Json:
        """Return a statement that has ended."""
        return _found(self.statements, number)

    # --- the online store ------------------------------------------------------------------------

    def create_store(self, asked: Asked) -> Json:
        """Create a store."""
        check(asked.body, STORE, "body")
        name = _new(self.stores, asked.body["name"])
        # The API leaves out what is 0.
        given = {field: value for field, value in asked.body.items() if value}
        self.stores[name] = {**given, "state": "STARTING", "looks": self.looks}
        return self.stores[name]

    def get_store(self, name: str, _: Asked) -> Json:
        """Return a store, which becomes available."""
        store = _found(self.stores, name)
        return self._look(store, state="AVAILABLE")

    def update_store(self, name: str, asked: Asked) -> Json:
        """Change the fields of the mask."""
        check(asked.body, STORE, "body")
        store = _found(self.stores, name)
        if store["state"] == "UPDATING":
            raise Taken("an update is in progress")
        changed = {key: asked.body[key] for key in asked.query["update_mask"].split(",")}
        store |= {**changed, "state": "UPDATING", "looks": self.looks}
        return store

    def publish(self, source: str, asked: Asked) -> Json:
        """Publish a table, or start its pipeline again."""
        check(asked.body, PUBLISH, "body")
        spec = asked.body["publish_spec"]
        table, mode = _found(self.tables, source), spec["publish_mode"]
        if _found(self.stores, spec["online_store"])["state"] != "AVAILABLE":
            raise Refused("the online store is not available")
        if not table.get("table_constraints"):
            raise Refused("the table has no primary key")
        feed = table["properties"].get("delta.enableChangeDataFeed") == "true"
        if mode != "SNAPSHOT" and not feed:
            raise Refused("Change Data Feed is not enabled")
        name = spec["online_table_name"]
        existing = self.online.get(name, {"source": source, "mode": mode})
        if (existing["source"], existing["mode"]) != (source, mode):
            raise Taken("the online table exists with another source or mode")
        state = "SYNCED_TABLE_PROVISIONING_INITIAL_SNAPSHOT"
        runs = existing.get("runs", 0) + 1
        self.online[name] = {
            "source": source,
            "mode": mode,
            "runs": runs,
            "state": state,
            "looks": self.looks,
        }
        return {"online_table_name": name, "pipeline_id": f"pipeline-{name}"}

    def get_provisioned(self, name: str, _: Asked) -> Json:
        """Return an online table by the API of provisioned instances."""
        if self.autoscaling:
            raise Missing(name)
        table = self._online(name)
        return {
            "name": name,
            "spec": table["spec"],
            "data_synchronization_status": {"detailed_state": table["state"]},
        }

    def get_autoscaling(self, name: str, _: Asked) -> Json:
        """Return an online table by the API of projects."""
        if not self.autoscaling:
            raise Missing(name)
        table = self._online(name)
        return {
            "name": f"synced_tables/{name}",
            "spec": table["spec"],
            "status": {"detailed_state": table["state"]},
        }

    def _online(self, name: str) -> Json:
        final = "SYNCED_TABLE_OFFLINE_FAILED" if self.failing == name else ONLINE
        table = self._look(_found(self.online, name), state=final)
        return table | {
            "spec": {
                "source_table_full_name": table["source"],
                "scheduling_policy": table["mode"],
            }
        }

    # --- feature specs and endpoints -------------------------------------------------------------

    def create_spec(self, asked: Asked) -> Json:
        """Create a feature spec of columns that exist."""
        check(asked.body, SPEC, "body")
        for feature in asked.body["features"]:
            lookup = feature["feature_lookup"]
            columns = {c["name"] for c in _found(self.tables, lookup["table"])["columns"]}
            if unknown := {*lookup["lookup_keys"], *lookup["feature_names"]} - columns:
                raise Refused(f"no columns {unknown}")
        self.specs[_new(self.specs, asked.body["name"])] = asked.body
        return asked.body

    def get_spec(self, name: str, _: Asked) -> Json:
        """Return a feature spec."""
        return _found(self.specs, name)

    def create_endpoint(self, asked: Asked) -> Json:
        """Create an endpoint."""
        check(asked.body, ENDPOINT, "body")
        name = _new(self.endpoints, asked.body["name"])
        self._set(name, asked.body["config"]["served_entities"])
        return {"name": name}

    def get_endpoint(self, name: str, _: Asked) -> Json:
        """Return an endpoint, whose update ends."""
        endpoint = _found(self.endpoints, name)
        if endpoint["looks"]:
            endpoint["looks"] -= 1
            state = {"config_update": "IN_PROGRESS", "ready": "NOT_READY"}
            pending = {"served_entities": endpoint["entities"]}
            return {"name": name, "pending_config": pending, "state": state}
        failed = self.failing == name
        state = {
            "config_update": "UPDATE_FAILED" if failed else "NOT_UPDATING",
            "ready": "NOT_READY" if failed else "READY",
        }
        return {"name": name, "config": {"served_entities": endpoint["entities"]}, "state": state}

    def update_endpoint(self, name: str, asked: Asked) -> Json:
        """Change what an endpoint serves."""
        check(asked.body, {"served_entities": [ENTITY]}, "body")
        if _found(self.endpoints, name)["looks"]:
            raise Taken("an update is in progress")
        self._set(name, asked.body["served_entities"])
        return {"name": name}

    def _set(self, name: str, entities: list[Json]) -> None:
        for entity in entities:
            for feature in _found(self.specs, entity["entity_name"])["features"]:
                table = feature["feature_lookup"]["table"]
                copies = [o["state"] for o in self.online.values() if o["source"] == table]
                if ONLINE not in copies:
                    raise Refused(f"{table} has no online table")
        # The API leaves out what is false.
        kept = [{k: v for k, v in entity.items() if v is not False} for entity in entities]
        self.endpoints[name] = {"entities": kept, "looks": self.looks}

    def _look(self, thing: Json, state: str) -> Json:
        """Return something that is ready after some looks."""
        if thing.get("looks"):
            thing["looks"] -= 1
        else:
            thing["state"] = state
        return {name: value for name, value in thing.items() if name != "looks"}

    def routes(self) -> list[tuple[str, str, Callable[..., Json]]]:
        """Return the methods, paths and functions of the API."""
        return [
            ("GET", f"/api/2.1/unity-catalog/tables/{NAME}", self.get_table),
            ("POST", "/api/2.0/sql/statements", self.run_statement),
            ("GET", f"/api/2.0/sql/statements/{NAME}", self.get_statement),
            ("POST", "/api/2.0/feature-store/online-stores", self.create_store),
            ("GET", f"/api/2.0/feature-store/online-stores/{NAME}", self.get_store),
            ("PATCH", f"/api/2.0/feature-store/online-stores/{NAME}", self.update_store),
            ("POST", f"/api/2.0/feature-store/tables/{NAME}/publish", self.publish),
            ("GET", f"/api/2.0/database/synced_tables/{NAME}", self.get_provisioned),
            ("GET", f"/api/2.0/postgres/synced_tables/{NAME}", self.get_autoscaling),
            ("POST", "/api/2.0/feature-engineering/feature-specs", self.create_spec),
            ("GET", f"/api/2.0/feature-engineering/feature-specs/{NAME}", self.get_spec),
            ("POST", "/api/2.0/serving-endpoints", self.create_endpoint),
            ("GET", f"/api/2.0/serving-endpoints/{NAME}", self.get_endpoint),
            ("PUT", f"/api/2.0/serving-endpoints/{NAME}/config", self.update_endpoint),
        ]


def _found(things: dict[str, Any], name: str) -> Json:
    if name not in things:
        raise Missing(name)
    thing: Json = things[name]
    return thing


def _new(things: dict[str, Any], name: str) -> str:
    if name in things:
        raise Taken(f"{name} exists")
    return name


@contextmanager
def serving(workspace: FeatureWorkspace) -> Iterator[FeatureWorkspace]:
    """Serve a workspace on a free local port."""
    with served(lambda asked: respond(workspace, asked)) as workspace.url:
        yield workspace


def respond(workspace: FeatureWorkspace, asked: Asked) -> tuple[int, str, dict[str, str]]:
    """Return the status, body and headers of a response."""
    request = f"{asked.method} {asked.path}"
    workspace.seen[request] += 1
    routes = [
        (function, match.groups())
        for method, path, function in workspace.routes()
        if method == asked.method and (match := re.fullmatch(path, asked.path))
    ]
    if not routes:
        return _error(404, "ENDPOINT_NOT_FOUND", asked.path)
    if asked.authorization != f"Bearer {TOKEN}":
        return _error(403, "PERMISSION_DENIED", "Invalid access token.")
    ((function, names),) = routes
    fault = next((f for f in workspace.faults if f.path == request and f.times), None)
    try:
        if fault:
            fault.times -= 1
            if not fault.done:
                return fault.status, fault.body, fault.headers
        response = function(*names, asked)
    except (Missing, Taken, Refused) as error:
        return _error(*ERRORS[type(error)], str(error))
    if asked.method != "GET":
        workspace.writes.append(request)
    return (fault.status, fault.body, fault.headers) if fault else (200, json.dumps(response), {})


def _error(status: int, code: str, message: str) -> tuple[int, str, dict[str, str]]:
    return status, json.dumps({"error_code": code, "message": message}), {}
