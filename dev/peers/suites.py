"""List what runs: each suite's environment, its server's models and its tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

HERE: Final = Path(__file__).parent
CHECKS: Final = HERE / "checks"


class Suite(NamedTuple):
    """Tests that one Python runs with pytest against one server."""

    name: str
    environment: str
    models: list[dict[str, Any]]
    tests: tuple[str, ...]
    options: tuple[str, ...] = ()
    is_kserves: bool = False


def entry(name: str, model: str, sample: object, **fields: object) -> dict[str, Any]:
    """Return an entry of models.yaml."""
    adapter = f"dev.peers.models:{model}"
    return {
        "name": name,
        "version": "1",
        "adapter": adapter,
        "sample": sample,
        "match": {"to": name},
        **fields,
    }


UPPER: Final = entry("upper", "Upper", "a", payload="text")
SCORE: Final = {
    **entry("score", "Score", None, payload=["x", "name"]),
    "sample": {"x": 1, "name": "a"},
}
ECHO: Final = entry("echo", "Integers", [1, 2])
DOWN: Final = entry("down", "Down", "a", payload="text")
ENTITIES: Final = entry("entities", "Entities", "Ada", payload="text")

COMMON: Final = [UPPER, SCORE, ECHO, DOWN, ENTITIES]
SOUND: Final = [UPPER, SCORE, ECHO, ENTITIES]
KSERVES: Final = [
    entry("TestModel", "Echo", [1, 2], result="output-0"),
    entry("FP16InputModel", "Renamed", {"fp16_input": [1, 2], "str_input": ["a", "b"]}),
    entry("FP16OutputModel", "Doubled", {"fp32_input": [1, 2]}),
    entry("DateTimeModel", "Now", [1, 2], result="output-0"),
]
NOT_READY: Final = "TestTFHttpServerModelNotReady"
PLUGIN: Final = ("-p", "dev.peers.kserve_tests")

SUITES: Final = (
    Suite(
        "KServe's test_server.py",
        "kserve",
        KSERVES,
        ("test/test_server.py",),
        (*PLUGIN, f"--deselect=test/test_server.py::{NOT_READY}"),
        is_kserves=True,
    ),
    Suite(
        "KServe's test_server.py, model down",
        "kserve",
        [entry("TestModel", "Down", "a"), UPPER],
        (f"test/test_server.py::{NOT_READY}",),
        PLUGIN,
        is_kserves=True,
    ),
    Suite(
        "KServe's test_inference_client.py",
        "kserve",
        [KSERVES[0], entry("NotReadyModel", "Down", "a")],
        ("test/test_inference_client.py",),
        PLUGIN,
        is_kserves=True,
    ),
    Suite(
        "KServe's test_grpc_server.py",
        "kserve",
        KSERVES,
        ("test/test_grpc_server.py",),
        PLUGIN,
        is_kserves=True,
    ),
    Suite(
        "KServe's test_infer_type.py",
        "kserve",
        [UPPER],
        ("test/test_infer_type.py",),
        PLUGIN,
        is_kserves=True,
    ),
    Suite("KServe's clients", "kserve", [UPPER, SCORE, DOWN, *KSERVES], ("kserve_clients.py",)),
    Suite("Triton's client, HTTP", "triton", COMMON, ("triton_http.py",)),
    Suite("Triton's client, gRPC", "triton", COMMON, ("triton_grpc.py",)),
    Suite("MLflow's client", "mlflow", [SCORE], ("mlflow_clients.py",)),
    Suite("Schemathesis, own document", "schemathesis", SOUND, ("openapi_own.py",)),
    Suite("Schemathesis, V2's document", "schemathesis", SOUND, ("openapi_v2.py",)),
)
