"""The FeatureSpec, and the endpoint that serves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from databricks.sdk.service.ml import DefaultValue, FeatureLookup, Features, FeatureSpec
from databricks.sdk.service.serving import (
    EndpointCoreConfigInput,
    EndpointStateConfigUpdate,
    EndpointStateReady,
    ServedEntityInput,
)

from deploy.databricks.documents import lost
from deploy.databricks.features.errors import Broken, Differs
from deploy.databricks.features.requests import Request, or_none

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.serving import ServedEntityOutput, ServingEndpointDetailed

    from deploy.databricks.features.description import Description, Endpoint, Spec

# The name of the served entity. It marks the endpoints that are ours to change.
SERVED = "tidemill-features"


def feature_spec(spec: Spec, description: Description) -> FeatureSpec:
    """Return a feature spec for the API: a look-up by its key in each table."""
    lookups = []
    for features in spec.features:
        table = description.table(features.table)
        columns = features.columns or [name for name in table.columns if name not in table.key]
        defaults = [DefaultValue(name, value) for name, value in features.defaults.items()]
        lookups.append(
            FeatureLookup(
                table=table.name,
                lookup_keys=list(table.primary_key),
                feature_names=list(columns),
                default_values=defaults or None,
            )
        )
    return FeatureSpec(
        name=spec.name, features=[Features(feature_lookup=lookup) for lookup in lookups]
    )


@dataclass(frozen=True, slots=True)
class ServedSpec:
    """A feature spec."""

    spec: FeatureSpec

    @property
    def what(self) -> str:
        """Its kind and name."""
        return f"feature spec {self.spec.name}"

    def find(self, client: WorkspaceClient) -> FeatureSpec | None:
        """Return the feature spec."""
        return or_none(lambda: client.feature_engineering.get_feature_spec(self.spec.name))

    def requests(self, found: FeatureSpec | None) -> list[Request]:
        """Return the request that creates it.

        Raises:
            Differs: It has other features: the API cannot change a feature spec.

        """
        if found is None:
            return [Request("feature_engineering.create_feature_spec", {"feature_spec": self.spec})]
        if fields := list(lost(self.spec.as_dict(), found.as_dict())):
            problems = [f"{field} has another value" for field in fields]
            remedy = "give the new features a new name, such as …_v2; the endpoint changes to it"
            raise Differs(self.what, problems, remedy)
        return []

    def waits_for(self, found: FeatureSpec | None) -> str | None:
        """Return None: a feature spec is ready at once."""
        return None if found else "missing"


@dataclass(frozen=True, slots=True)
class FeatureEndpoint:
    """A Feature Serving endpoint."""

    endpoint: Endpoint
    spec: str

    @property
    def what(self) -> str:
        """Its kind and name."""
        return f"endpoint {self.endpoint.name}"

    def find(self, client: WorkspaceClient) -> ServingEndpointDetailed | None:
        """Return the endpoint."""
        return or_none(lambda: client.serving_endpoints.get(self.endpoint.name))

    def requests(self, found: ServingEndpointDetailed | None) -> list[Request]:
        """Return the request that creates it, or changes what it serves.

        Raises:
            Differs: It serves something that was not published here.

        """
        wanted = ServedEntityInput(
            name=SERVED,
            entity_name=self.spec,
            workload_size=self.endpoint.workload_size,
            scale_to_zero_enabled=self.endpoint.scale_to_zero,
        )
        name = self.endpoint.name
        if found is None:
            config = EndpointCoreConfigInput(name=name, served_entities=[wanted])
            return [Request("serving_endpoints.create", {"name": name, "config": config})]
        entities = served(found)
        if others := [str(e.name or e.entity_name) for e in entities if e.name != SERVED]:
            problems = [f"it serves {', '.join(others)}"]
            raise Differs(self.what, problems, "choose another name for the endpoint")
        if [_what_counts(entity) for entity in entities] == [_what_counts(wanted)]:
            return []
        arguments = {"name": name, "served_entities": [wanted]}
        return [Request("serving_endpoints.update_config", arguments)]

    def waits_for(self, found: ServingEndpointDetailed | None) -> str | None:
        """Return the state of an endpoint that does not serve yet.

        Raises:
            Broken: Its last change failed.

        """
        state = found.state if found else None
        if state is None or state.config_update is None or state.ready is None:
            return "missing"
        update = EndpointStateConfigUpdate
        if state.config_update in {update.UPDATE_FAILED, update.UPDATE_CANCELED}:
            raise Broken(self.what, state.config_update.value)
        if state.config_update is not update.NOT_UPDATING:
            return str(state.config_update.value)
        return None if state.ready is EndpointStateReady.READY else str(state.ready.value)


def _what_counts(entity: ServedEntityInput | ServedEntityOutput) -> tuple[object, ...]:
    # The API leaves out what is false.
    return entity.entity_name, entity.workload_size, bool(entity.scale_to_zero_enabled)


def served(endpoint: ServingEndpointDetailed) -> list[ServedEntityOutput]:
    """Return what an endpoint serves, or will serve when its update ends."""
    config = endpoint.pending_config or endpoint.config
    return (config.served_entities if config else None) or []
