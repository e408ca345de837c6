"""Say which tests of KServe's SDK cannot apply to our server, which must fail, and why."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

CANNOT, DIFFERS = "cannot apply", "differs"

V1: Final = "V1, KServe's older protocol, is not offered"
SDK: Final = "a class of the SDK is tested, without a server"
MOCK: Final = "a mock answers, not a server"
PARAMETERS: Final = (
    "its model returns the request's parameters; a model of ours gets inputs only, so that a "
    "request has the same output as a message"
)
ROWS: Final = (
    "its model returns all rows as one of length 8, and the test compares bytes, with KServe's "
    "order of fields and nulls; ours returns an output for each row, here of shape [2, 4] "
    "(`dev/peers/checks/kserve_clients.py` compares the values of the same requests)"
)
UNEQUAL_ROWS: Final = (
    "some of its tensors have 2 rows and some have 8; our server refuses them, because each row "
    "is an input"
)
GRPC_ROWS: Final = (
    "its model returns all rows as one of length 8, as FP16; ours returns an output for each row, "
    "as FP64, since models return JSON"
)
FP16: Final = (
    "KServe refuses FP16 in JSON; the protocol lists FP16 among its types without an exception, "
    "so ours takes numbers"
)
NO_FP16: Final = (
    "KServe refuses to write FP16 as JSON; our models return JSON numbers, so that FP64 is what "
    "the answer has"
)

# By a pattern of names; the first that matches counts.
KNOWN: Final[dict[str, tuple[str, str]]] = {
    "test_infer_type.py::*": (CANNOT, SDK),
    "test_server.py::TestModel::*": (CANNOT, SDK),
    "test_server.py::TestStreamPredict::*": (CANNOT, V1),
    "test_server.py::*V1*": (CANNOT, V1),
    "test_server.py::*v1": (CANNOT, V1),
    "test_server.py::*CloudEvent*": (CANNOT, "CloudEvents are part of V1"),
    "test_server.py::TestTFHttpServerModelNotLoaded::*": (CANNOT, V1),
    "test_server.py::TestTFHttpServerModelNotReady::test_predict": (CANNOT, V1),
    "test_server.py::TestTFHttpServerModelNotReady::test_explain": (CANNOT, V1),
    "test_server.py::TestTFHttpServerLoadAndUnLoad*": (
        CANNOT,
        "models are listed in `models.yaml` and loaded on demand; no request loads or unloads one",
    ),
    "test_server.py::TestRayServer::*": (
        CANNOT,
        "Ray Serve is started; `test_infer_v2` sends the same",
    ),
    "test_server.py::TestMutiProcessServer::*": (
        CANNOT,
        "KServe's own processes are started and killed",
    ),
    "test_server.py::TestWithUnhealthyModel::*": (CANNOT, SDK),
    "test_server.py::TestModelServer*": (CANNOT, SDK),
    "test_server.py::*::test_infer_parameters_v2": (DIFFERS, PARAMETERS),
    "test_server.py::*::test_fp16_input_as_binary_data": (DIFFERS, ROWS),
    "test_server.py::*::test_fp16_input_not_binary_data": (DIFFERS, FP16),
    "test_server.py::*::test_fp16_output_not_binary_data": (DIFFERS, NO_FP16),
    "test_server.py::*::test_fp16_output_as_binary_data": (DIFFERS, ROWS),
    "test_server.py::*::test_requested_output": (DIFFERS, ROWS),
    "test_server.py::*::test_all_output_as_binary_data": (DIFFERS, ROWS),
    "test_server.py::*::test_binary_data_parameter_precedence": (DIFFERS, ROWS),
    "test_inference_client.py::*[[]v1*": (CANNOT, V1),
    "test_inference_client.py::*[[]v3*": (CANNOT, SDK),
    "test_inference_client.py::*::test_infer_graph_endpoint*": (CANNOT, MOCK),
    "test_inference_client.py::*::test_infer_path_based_routing*": (CANNOT, MOCK),
    "test_inference_client.py::*::test_explain*": (CANNOT, SDK),
    "test_inference_client.py::*::test_base_url_with_no_scheme*": (CANNOT, SDK),
    "test_grpc_server.py::test_grpc_inputs": (DIFFERS, UNEQUAL_ROWS),
    "test_grpc_server.py::test_grpc_raw_inputs": (DIFFERS, UNEQUAL_ROWS),
    "test_grpc_server.py::test_grpc_fp16_*": (DIFFERS, GRPC_ROWS),
}


def find(name: str) -> tuple[str, str] | None:
    """Return what is known of a test, if it is not expected to pass."""
    return next((known for key, known in KNOWN.items() if fnmatchcase(name, key)), None)
