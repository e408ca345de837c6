"""Schemathesis on the specification of V2 over REST, which kserve/open-inference-protocol has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import schemathesis
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)

from dev.peers.server import addresses

SPECIFICATION = Path(__file__).with_name("open_inference_rest.yaml")
INFER = "/v2/models/{MODEL_NAME}/versions/{MODEL_VERSION}/infer"
# The specification allows any name. Most requests should find a model.
NAMES = {"MODEL_NAME": ["upper", "score", "echo", "entities", "unknown"], "MODEL_VERSION": ["1"]}
DATATYPES = ["BOOL", "UINT8", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES", "NONE"]
# The specification has statuses 200 and 400 only; the server has others, such as 404.
CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
INTEGERS = st.integers(-(2**31), 2**31 - 1)
EXAMPLES = settings(max_examples=200, deadline=None, suppress_health_check=[*HealthCheck])


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
    tensor["datatype"]["enum"] = DATATYPES
    return document


schema = schemathesis.openapi.from_dict(specification())


def tensor(name: str, datatype: str, data: list[Any], *more: int) -> dict[str, Any]:
    """Return a tensor; `more` are its dimensions after the first."""
    return {"name": name, "datatype": datatype, "shape": [len(data), *more], "data": data}


def columns(rows: list[tuple[int, str]]) -> list[dict[str, Any]]:
    """Return the tensors of objects."""
    x, names = ([*column] for column in zip(*rows, strict=True))
    return [tensor("x", "INT32", x), tensor("name", "BYTES", names)]


def valid() -> st.SearchStrategy[tuple[str, list[dict[str, Any]]]]:
    """Return a strategy for models, with inputs that they answer."""
    texts = st.lists(st.text().filter(lambda text: text != "bad"), min_size=1)
    rows = st.lists(st.tuples(INTEGERS, st.text()), min_size=1)
    pairs = st.lists(st.lists(INTEGERS, min_size=2, max_size=2), min_size=1)
    return st.one_of(
        texts.map(lambda data: ("upper", [tensor("text", "BYTES", data)])),
        texts.map(lambda data: ("entities", [tensor("text", "BYTES", data)])),
        rows.map(lambda data: ("score", columns(data))),
        pairs.map(lambda data: ("echo", [tensor("input", "INT64", data, 2)])),
    )


@schema.parametrize()
@EXAMPLES
def test_specification(case: schemathesis.Case) -> None:
    """No status from 500 on, and answers with the statuses of the specification are as it says."""
    case.call_and_validate(base_url=addresses().http, checks=CHECKS)


@given(valid(), st.none() | st.text())
@EXAMPLES
def test_valid(request: tuple[str, list[dict[str, Any]]], request_id: str | None) -> None:
    """Inputs that a model takes are answered, as the specification says."""
    model, inputs = request
    case = schema[INFER]["POST"].Case(
        path_parameters={"MODEL_NAME": model, "MODEL_VERSION": "1"},
        body={"inputs": inputs} | ({} if request_id is None else {"id": request_id}),
        media_type="application/json",
    )
    response = case.call_and_validate(base_url=addresses().http, checks=CHECKS)
    answer = response.json()
    assert response.status_code == 200, answer
    assert answer.get("id") == request_id
    assert all(output["shape"][0] == inputs[0]["shape"][0] for output in answer["outputs"])
