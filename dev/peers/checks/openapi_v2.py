"""Schemathesis on the specification of V2 over REST, which kserve/open-inference-protocol has."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import schemathesis
import yaml
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)

from dev.peers.server import addresses

SPECIFICATION = Path(__file__).with_name("open_inference_rest.yaml")
# The specification allows any name. Most requests should find a model.
NAMES = {"MODEL_NAME": ["upper", "score", "echo", "entities", "unknown"], "MODEL_VERSION": ["1"]}
DATATYPES = {bool: "BOOL", int: "INT64", float: "FP64", str: "BYTES"}
# The specification has statuses 200 and 400 only; the server has others, such as 404.
CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def specification() -> dict[str, Any]:
    """Return the specification with paths that OpenAPI knows, `{NAME}` instead of `${NAME}`."""
    document: dict[str, Any] = yaml.safe_load(SPECIFICATION.read_text("utf-8"))
    document["paths"] = {
        path.replace("${", "{"): operations for path, operations in document["paths"].items()
    }
    for operations in document["paths"].values():
        for parameter in operations.get("parameters", []):
            parameter["schema"]["enum"] = NAMES[parameter["name"]]
    tensor = document["components"]["schemas"]["request_input"]["properties"]
    tensor["datatype"]["enum"] = [*DATATYPES.values(), "UINT8", "INT32", "FP16", "FP32", "NONE"]
    return document


schema = schemathesis.openapi.from_dict(specification())
statuses: Counter[int] = Counter()


@schema.hook("map_body")
def fill(_: schemathesis.HookContext, body: Any) -> Any:  # noqa: ANN401 - any JSON
    """Make models answer more requests, in ways that the specification cannot express.

    Leave one tensor, whose elements have one type and fill its shape, and ask for all outputs.
    """
    tensors = body.get("inputs") if isinstance(body, dict) else None
    tensor = tensors[0] if isinstance(tensors, list) and tensors else None
    data = tensor.get("data") if isinstance(tensor, dict) else None
    if isinstance(data, list) and data and type(data[0]) in DATATYPES:
        kept = [element for element in data if type(element) is type(data[0])]
        tensor |= {"data": kept, "shape": [len(kept)], "datatype": DATATYPES[type(data[0])]}
        body |= {"inputs": [tensor], "outputs": []}
    return body


@schema.parametrize()
@settings(max_examples=200, deadline=None, suppress_health_check=[*HealthCheck])
def test_specification(case: schemathesis.Case) -> None:
    """No status from 500 on, and answers with the statuses of the specification are as it says."""
    response = case.call_and_validate(base_url=addresses().http, checks=CHECKS)
    if case.path.endswith("/infer"):
        statuses[response.status_code] += 1


def test_reached() -> None:
    """Some of these requests were answered by models, and some refused."""
    assert statuses[200] > 10
    assert statuses[400] > 10
