"""V2's answers over HTTP have the form that the protocol's specification gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft7Validator

from dev.peers.suites import CHECKS

if TYPE_CHECKING:
    from server_process import Server

SPECIFICATION = yaml.safe_load((CHECKS / "open_inference_rest.yaml").read_text("utf-8"))
TEXT = {"name": "x", "datatype": "BYTES", "shape": [1], "data": ["a"]}
ROW = {"name": "x", "datatype": "INT64", "shape": [1, 2], "data": [1, 2]}


@pytest.mark.parametrize(
    ("path", "body", "status", "schema"),
    [
        ("/v2/", None, 200, "metadata_server_response"),
        ("/v2/models/upper", None, 200, "metadata_model_response"),
        ("/v2/models/score/versions/1", None, 200, "metadata_model_response"),
        ("/v2/models/upper/infer", {"inputs": [TEXT]}, 200, "inference_response"),
        ("/v2/models/sum/infer", {"inputs": [ROW], "id": "7"}, 200, "inference_response"),
        ("/v2/models/sum/infer", {"inputs": [TEXT]}, 400, "inference_error_response"),
        ("/v2/models/none", None, 404, "metadata_model_error_response"),
        ("/v2", {}, 405, "metadata_server_error_response"),
    ],
)
def test_answers(server: Server, path: str, body: Any, status: int, schema: str) -> None:  # noqa: ANN401
    """An answer is as the specification says, and so is the text of an error."""
    response = server.send(path, body)
    assert response.status == status, response.body
    components = {"components": SPECIFICATION["components"]}
    Draft7Validator({"$ref": f"#/components/schemas/{schema}", **components}).validate(
        response.json
    )
    assert response.headers["content-type"] == "application/json"
    assert ("error" in response.json) == (status != 200)
