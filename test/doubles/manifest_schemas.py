"""Validate Kubernetes manifests against the schemas of their kinds, which refuse unknown fields.

The definitions (CRDs) beside the tests are those of the projects' releases, unchanged (Apache-2.0):
kubeflow/spark-operator, kubernetes-sigs/gateway-api (config/crd/standard), kedacore/keda
(config/crd/bases), kserve/kserve (config/crd/full) and envoyproxy/gateway (gateway-helm).
"""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

DEFINITIONS = Path(__file__).parents[1] / "unit/deploy/kubernetes"
# The oldest Kubernetes that its own project supports, or about, and the newest that is described.
VERSIONS = ["1.33", "1.36"]
Manifest = dict[str, Any]


@cache
def own_kinds() -> dict[tuple[str, str], Any]:
    """Return a validator for each kind that a definition describes, by its API version."""
    found = {}
    for file in DEFINITIONS.glob("*.crd.yaml.gz"):
        spec = yaml.load(gzip.decompress(file.read_bytes()), yaml.CSafeLoader)["spec"]
        kind = spec["names"]["kind"]
        for version in spec["versions"]:
            schema = version["schema"]["openAPIV3Schema"]
            refuse_unknown(schema)
            schema["properties"]["kind"] = {"const": kind}
            api_version = f"{spec['group']}/{version['name']}"
            found[api_version, kind] = jsonschema.Draft7Validator(schema)
    return found


def refuse_unknown(schema: Any) -> None:  # noqa: ANN401 - of any depth
    """Make a schema refuse unknown fields, like the API server's strict validation."""
    if isinstance(schema, dict) and isinstance(schema.get("properties"), dict):
        schema.setdefault("additionalProperties", False)
    for inner in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(inner, dict | list):
            refuse_unknown(inner)


def check(document: Manifest, version: str) -> None:
    """Validate a document with the schema of its kind.

    Raises:
        jsonschema.ValidationError: It is not valid.

    """
    api_version, kind = document["apiVersion"], document["kind"]
    if api_version.partition("/")[0] not in {key[0].partition("/")[0] for key in own_kinds()}:
        kubernetes_validate.validate(document, version, strict=True)
        return
    if (api_version, kind) not in own_kinds():
        raise jsonschema.ValidationError(f"no such kind: {api_version} {kind}")
    own_kinds()[api_version, kind].validate(document)
