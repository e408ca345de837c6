from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from jobs_api import Fault

from deploy.databricks.errors import RequestFailed
from deploy.databricks.features.description import Description
from deploy.databricks.features.errors import Broken, Differs, NotReady, StatementFailed
from deploy.databricks.features.publication import Publication, resources
from deploy.databricks.workspace import Patience, client

if TYPE_CHECKING:
    from features_api import FeatureWorkspace
    from http_api import Json

PREDICTIONS = "main.shop.churn_predictions"
ONLINE = f"{PREDICTIONS}_online"
STATEMENTS = "POST /api/2.0/sql/statements"
STORES = "POST /api/2.0/feature-store/online-stores"
SPECS = "POST /api/2.0/feature-engineering/feature-specs"
ENDPOINTS = "POST /api/2.0/serving-endpoints"


def publish(table: str) -> str:
    """Return the request that publishes a table."""
    return f"POST /api/2.0/feature-store/tables/{table}/publish"


class Publisher:
    """A publisher that does not sleep, and records its messages and waits."""

    def __init__(self, workspace: FeatureWorkspace, example: Json) -> None:
        self.workspace = workspace
        self.example = example
        self.told: list[str] = []
        self.waits: list[float] = []

    def _publication(self) -> Publication:
        patience = Patience(self.told.append, sleep=self.waits.append)
        return Publication(client(), patience, timeout=100, clock=lambda: sum(self.waits))

    def plan(self, *, refresh: bool = False) -> list[str]:
        """Return what is still to do: the kind and name."""
        wanted = list(resources(Description.model_validate(self.example), "w1", refresh=refresh))
        return [request["what"] for request in self._publication().plan(wanted)]

    def __call__(self, *, refresh: bool = False) -> list[str]:
        """Publish once; return the requests that changed something."""
        before = len(self.workspace.writes)
        wanted = list(resources(Description.model_validate(self.example), "w1", refresh=refresh))
        self._publication().bring(wanted)
        return self.workspace.writes[before:]


@pytest.fixture
def bring(
    features_workspace: FeatureWorkspace,
    example: Json,
    login: dict[str, str],
) -> Publisher:
    """A publisher of the shipped description."""
    return Publisher(features_workspace, example)


class TestOnce:
    """A publication leaves what is described."""

    @pytest.mark.parametrize("autoscaling", [False, True])
    def test_new(
        self, autoscaling: bool, bring: Publisher, features_workspace: FeatureWorkspace
    ) -> None:
        """An empty workspace gets all of it, each part when what it needs is ready."""
        features_workspace.autoscaling = autoscaling
        assert bring() == [
            STATEMENTS,
            STATEMENTS,
            STORES,
            publish("main.shop.customer_features"),
            publish(PREDICTIONS),
            SPECS,
            ENDPOINTS,
        ]
        (entity,) = features_workspace.endpoints["customer-features"]["entities"]
        assert entity["entity_name"] == "main.shop.customer_spec"
        assert features_workspace.online[ONLINE]["mode"] == "SNAPSHOT"

    @pytest.mark.parametrize("autoscaling", [False, True])
    def test_twice(
        self, autoscaling: bool, bring: Publisher, features_workspace: FeatureWorkspace
    ) -> None:
        """A second publication changes nothing, and a plan for it is empty."""
        features_workspace.autoscaling = autoscaling
        bring()
        assert bring.plan() == []
        assert bring() == []

    def test_plan(self, bring: Publisher, features_workspace: FeatureWorkspace) -> None:
        """A plan only reads: it sends no request that changes anything."""
        assert len(bring.plan()) == 7
        assert {request.partition(" ")[0] for request in features_workspace.seen} == {"GET"}

    def test_the_rest(self, bring: Publisher, features_workspace: FeatureWorkspace) -> None:
        """A publication that ended early goes on where it ended."""
        features_workspace.faults.append(Fault(SPECS, 403))
        with pytest.raises(RequestFailed, match=r"feature spec main\.shop\.customer_spec: "):
            bring()
        assert bring() == [SPECS, ENDPOINTS]


class TestChanges:
    """A changed description changes what can be changed."""

    def test_column(self, bring: Publisher, features_workspace: FeatureWorkspace) -> None:
        """A new column is added to its table."""
        bring()
        bring.example["tables"][0]["columns"]["visits"] = "bigint"
        assert bring() == [STATEMENTS]
        columns = features_workspace.tables["main.shop.customer_features"]["columns"]
        assert columns[-1] == {"name": "visits", "type_text": "bigint", "nullable": True}

    def test_store(self, bring: Publisher, features_workspace: FeatureWorkspace) -> None:
        """The store gets another size."""
        bring()
        bring.example["online_store"]["capacity"] = "CU_2"
        assert bring() == ["PATCH /api/2.0/feature-store/online-stores/shop-features"]
        assert features_workspace.stores["shop-features"]["capacity"] == "CU_2"
        assert bring() == []

    def test_spec(self, bring: Publisher, features_workspace: FeatureWorkspace) -> None:
        """A feature spec of a new name is created, and the endpoint changes to it."""
        bring()
        bring.example["feature_spec"]["name"] += "_v2"
        bring.example["endpoint"]["scale_to_zero"] = True
        assert bring() == [SPECS, "PUT /api/2.0/serving-endpoints/customer-features/config"]
        (entity,) = features_workspace.endpoints["customer-features"]["entities"]
        assert entity["entity_name"] == "main.shop.customer_spec_v2"
        assert entity["scale_to_zero_enabled"] is True
        assert bring() == []

    def test_busy(self, bring: Publisher, features_workspace: FeatureWorkspace) -> None:
        """A change waits for the end of an earlier one."""
        bring()
        features_workspace.endpoints["customer-features"]["looks"] = 5
        bring.example["endpoint"]["workload_size"] = "Medium"
        assert len(bring()) == 1

    def test_failed(self, bring: Publisher, features_workspace: FeatureWorkspace) -> None:
        """An endpoint whose last update failed can be changed."""
        bring()
        features_workspace.failing = "customer-features"
        bring.example["endpoint"]["workload_size"] = "Medium"
        with pytest.raises(Broken, match=r"endpoint customer-features .* UPDATE_FAILED"):
            bring()
        assert features_workspace.writes[-1].startswith("PUT ")

    def test_refresh(self, bring: Publisher, features_workspace: FeatureWorkspace) -> None:
        """A refresh publishes again what does not follow by itself."""
        bring.example["tables"][0]["online"]["mode"] = "continuous"
        bring()
        assert bring.plan(refresh=True) == [f"online table {ONLINE}"]
        assert bring(refresh=True) == [publish(PREDICTIONS)]
        assert features_workspace.online[ONLINE]["runs"] == 2


class TestRefused:
    """What cannot be changed is refused before anything is."""

    @pytest.mark.parametrize(
        ("place", "value", "expected"),
        [
            ("columns", {"customer": "bigint", "churn": "float"}, "churn is double, not float"),
            (
                "online",
                {"name": ONLINE, "mode": "triggered"},
                "its mode is SNAPSHOT, not TRIGGERED",
            ),
        ],
    )
    def test_table(
        self,
        place: str,
        value: Json,
        expected: str,
        bring: Publisher,
        features_workspace: FeatureWorkspace,
    ) -> None:
        """Neither a column's type nor an online table's mode changes."""
        bring()
        before = list(features_workspace.writes)
        bring.example["tables"][1][place] = value
        with pytest.raises(Differs, match=expected):
            bring.plan()
        assert features_workspace.writes == before

    def test_source(self, bring: Publisher, features_workspace: FeatureWorkspace) -> None:
        """An online table of another source is kept."""
        bring()
        features_workspace.online[ONLINE]["source"] = "main.shop.other"
        with pytest.raises(Differs, match=f"its source is main.shop.other, not {PREDICTIONS}"):
            bring.plan()

    def test_spec(self, bring: Publisher) -> None:
        """A feature spec of the same name with other features is kept."""
        bring()
        bring.example["feature_spec"]["features"][1]["columns"] = ["churn"]
        with pytest.raises(Differs, match=r"features\[1\]\.feature_lookup\.feature_names.*_v2"):
            bring.plan()

    def test_endpoint(self, bring: Publisher, features_workspace: FeatureWorkspace) -> None:
        """An endpoint that serves somebody's model is kept."""
        model = {"name": "model", "entity_name": "main.shop.model"}
        features_workspace.endpoints["customer-features"] = {"entities": [model], "looks": 0}
        with pytest.raises(Differs, match="it serves model"):
            bring.plan()


class TestFaults:
    """Failures of the workspace have clear ends."""

    @pytest.mark.parametrize(
        "request_", [STATEMENTS, STORES, publish(PREDICTIONS), SPECS, ENDPOINTS]
    )
    @pytest.mark.parametrize("done", [False, True])
    def test_lost(
        self, request_: str, done: bool, bring: Publisher, features_workspace: FeatureWorkspace
    ) -> None:
        """A request whose response is lost is repeated only if it was not carried out."""
        features_workspace.faults.append(Fault(request_, 503, done=done))
        bring()
        assert any("trying again" in line for line in bring.told)
        assert bring() == []

    def test_schema(self, bring: Publisher, features_workspace: FeatureWorkspace) -> None:
        """A statement that fails gives the warehouse's reason."""
        features_workspace.schemas.clear()
        with pytest.raises(StatementFailed, match=r"CREATE TABLE .*features` failed: \[SCHEMA_NOT"):
            bring()

    def test_warehouse(self, bring: Publisher) -> None:
        """A warehouse that does not exist is an error, although 404 means absence elsewhere."""
        wanted = list(resources(Description.model_validate(bring.example), "other"))
        with pytest.raises(RequestFailed, match="no such warehouse"):
            bring._publication().bring(wanted)  # noqa: SLF001 - a test's own class

    def test_pipeline(self, bring: Publisher, features_workspace: FeatureWorkspace) -> None:
        """An online table whose pipeline fails ends the wait at once."""
        features_workspace.failing = ONLINE
        with pytest.raises(Broken, match=f"online table {ONLINE} .*OFFLINE_FAILED"):
            bring()

    def test_never_ready(self, bring: Publisher, features_workspace: FeatureWorkspace) -> None:
        """What does not become ready ends with its state; a later run goes on."""
        features_workspace.looks = 100
        with pytest.raises(NotReady, match=r"online store shop-features .*100 s, but STARTING"):
            bring()
        features_workspace.stores["shop-features"]["looks"] = features_workspace.looks = 2
        assert STORES not in bring()

    def test_stopped(self, bring: Publisher, features_workspace: FeatureWorkspace) -> None:
        """A store that somebody stopped does not start by waiting."""
        bring()
        features_workspace.stores["shop-features"] |= {"state": "STOPPED", "looks": 9}
        with pytest.raises(Broken, match="STOPPED"):
            bring()
