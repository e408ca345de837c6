from __future__ import annotations

import inspect
from dataclasses import is_dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import pytest
from databricks.sdk.service.catalog import TableInfo
from databricks.sdk.service.ml import FeatureSpec, OnlineStore
from databricks.sdk.service.serving import EndpointCoreConfigInput, ServingEndpointDetailed

from deploy.databricks.documents import lost
from deploy.databricks.features.description import Description
from deploy.databricks.features.online import OnlineFeatureStore, OnlineTable
from deploy.databricks.features.publication import resources
from deploy.databricks.features.serving import SERVED, FeatureEndpoint, ServedSpec
from deploy.databricks.features.tables import FeatureTable
from deploy.databricks.workspace import client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from http_api import Json

    from deploy.databricks.features.requests import Request


def requests(description: Description) -> Iterator[Request]:
    """Yield all kinds of requests: what an empty workspace needs, and an older one."""
    for resource in resources(description):
        yield from resource.requests(None)
        if isinstance(resource, FeatureTable):
            columns = [{"name": name, "type_text": k} for name, k in resource.table.columns.items()]
            bare = {"data_source_format": "DELTA", "columns": columns}
            yield from resource.requests(TableInfo.from_dict(bare))
        elif isinstance(resource, OnlineFeatureStore):
            yield from resource.requests(OnlineStore(resource.store.name, "CU_8"))
        elif isinstance(resource, FeatureEndpoint):
            old = {"served_entities": [{"name": SERVED, "entity_name": "main.shop.old"}]}
            yield from resource.requests(ServingEndpointDetailed.from_dict({"config": old}))


class TestAgainstTheSdk:
    """The requests fit the methods and dataclasses of the SDK."""

    @pytest.mark.parametrize("mode", ["triggered", "continuous", "snapshot"])
    @pytest.mark.usefixtures("login")
    def test_all(self, mode: str, example: Json) -> None:
        """Each argument exists, and each payload survives the SDK's reading and writing of it."""
        example["tables"][0]["online"]["mode"] = mode
        workspace, methods = client(), set()
        for request in requests(Description.model_validate(example)):
            method = attrgetter(request.method)(workspace)
            inspect.signature(method).bind(**request.arguments)
            methods.add(request.method)
            for argument in request.arguments.values():
                for value in argument if isinstance(argument, list) else [argument]:
                    if is_dataclass(value) and not isinstance(value, type):
                        self.check(value)
        assert methods == {
            "statement_execution.execute_statement",
            "feature_store.create_online_store",
            "feature_store.update_online_store",
            "feature_store.publish_table",
            "feature_engineering.create_feature_spec",
            "serving_endpoints.create",
            "serving_endpoints.update_config",
        }

    def check(self, value: Any) -> None:  # noqa: ANN401 - a dataclass of the SDK
        """Check a payload: nothing is lost when the SDK reads it as its own class."""
        document = value.as_dict()
        assert document
        assert type(value).from_dict(document).as_dict() == document

    @pytest.mark.parametrize("kind", [EndpointCoreConfigInput, FeatureSpec])
    def test_the_check(self, kind: type[Any]) -> None:
        """A field that the SDK does not know would be noticed."""
        document = {"name": "x", "unknown": 1}
        assert list(lost(document, kind.from_dict(document).as_dict())) == ["unknown"]


class TestPayloads:
    """The payloads say what the description says."""

    def test_spec(self, description: Description) -> None:
        """A look-up uses the key without its time; all other columns by default."""
        (spec,) = [r.spec for r in resources(description) if isinstance(r, ServedSpec)]
        first, second = spec.as_dict()["features"]
        assert first["feature_lookup"] == {
            "table": "main.shop.customer_features",
            "lookup_keys": ["customer"],
            "feature_names": ["orders_30d", "spend_30d"],
            "default_values": [
                {"feature": "orders_30d", "default_value": "0"},
                {"feature": "spend_30d", "default_value": "0"},
            ],
        }
        assert second["feature_lookup"] == {
            "table": "main.shop.churn_predictions",
            "lookup_keys": ["customer"],
            "feature_names": ["churn", "model"],
        }

    def test_modes(self, description: Description) -> None:
        """Each table is published in its own mode, after the store, before the feature spec."""
        kinds = [type(resource) for resource in resources(description)]
        assert kinds == [
            *[FeatureTable, FeatureTable, OnlineFeatureStore],
            *[OnlineTable, OnlineTable, ServedSpec, FeatureEndpoint],
        ]
        published = [r for r in resources(description) if isinstance(r, OnlineTable)]
        specs = [r.requests(None)[0].arguments["publish_spec"].as_dict() for r in published]
        assert [spec["publish_mode"] for spec in specs] == ["TRIGGERED", "SNAPSHOT"]
        assert {spec["online_store"] for spec in specs} == {"shop-features"}
