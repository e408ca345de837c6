"""List what runs: each suite's environment, its server's models and its tests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, NamedTuple

HERE: Final = Path(__file__).parent
CHECKS: Final = HERE / "checks"
ENVIRONMENTS: Final = HERE / "environments"


GRPCURL: Final = "1.9.3"


class Suite(NamedTuple):
    """Tests that the Python of an environment runs with pytest, against one server."""

    name: str
    title: str
    environment: str
    package: str
    models: list[dict[str, Any]]
    tests: str
    options: tuple[str, ...] = ()

    @property
    def is_kserves(self) -> bool:
        """Tell whether the tests are KServe's own, not ours with another project's client."""
        return self.tests.startswith("test/")

    @property
    def version(self) -> str:
        """Return the package and its version, as the environment's list pins it."""
        pins = (ENVIRONMENTS / f"{self.environment}.txt").read_text("utf-8")
        pin = re.search(rf"^{re.escape(self.package)}==(\S+)", pins, re.MULTILINE)
        return f"{self.package} {pin[1]}" if pin else self.package


def entry(name: str, model: str, sample: object, **fields: object) -> dict[str, Any]:
    """Return an entry of models.yaml."""
    adapter = f"dev.peers.models:{model}"
    fixed = {"name": name, "version": "1", "adapter": adapter, "sample": sample}
    return {**fixed, "match": {"to": name}, **fields}


def kserves(name: str, title: str, models: list[dict[str, Any]], *tests: str) -> Suite:
    """Return a suite of KServe's own tests; `tests` are what to run and options of pytest."""
    first, *options = tests
    plugin = ("-p", "dev.peers.kserve_tests", *options)
    return Suite(name, f"KServe's {title}", "kserve", "kserve", models, f"test/{first}", plugin)


UPPER: Final = entry("upper", "Upper", "a", payload="text")
SCORE: Final = entry("score", "Score", {"x": 1, "name": "a"}, payload=["x", "name"])
ECHO: Final = entry("echo", "Integers", [1, 2])
ENTITIES: Final = entry("entities", "Entities", "Ada", payload="text")
DOWN: Final = entry("down", "Down", "a", payload="text")
SOUND: Final = [UPPER, SCORE, ECHO, ENTITIES]
ALL: Final = [*SOUND, DOWN]

KSERVES: Final = [
    entry("TestModel", "Echo", [1, 2], result="output-0"),
    entry("FP16InputModel", "Renamed", {"fp16_input": [1, 2], "str_input": ["a", "b"]}),
    entry("FP16OutputModel", "Doubled", {"fp32_input": [1, 2]}),
    entry("DateTimeModel", "Now", [1, 2], result="output-0"),
]
TEST_MODEL_DOWN: Final = [entry("TestModel", "Down", "a"), UPPER]
ONE_DOWN: Final = [KSERVES[0], entry("NotReadyModel", "Down", "a")]
NOT_READY: Final = "test_server.py::TestTFHttpServerModelNotReady"

SUITES: Final = (
    kserves(
        "kserve-server", "test_server.py", KSERVES, "test_server.py", f"--deselect=test/{NOT_READY}"
    ),
    kserves("kserve-down", "test_server.py, model down", TEST_MODEL_DOWN, NOT_READY),
    kserves("kserve-rest", "test_inference_client.py", ONE_DOWN, "test_inference_client.py"),
    kserves("kserve-grpc", "test_grpc_server.py", KSERVES, "test_grpc_server.py"),
    kserves("kserve-types", "test_infer_type.py", [UPPER], "test_infer_type.py"),
    Suite(
        "kserve-clients",
        "KServe's clients, REST and gRPC",
        "kserve",
        "kserve",
        [UPPER, SCORE, DOWN, *KSERVES],
        "kserve_clients.py",
    ),
    Suite("triton-http", "Triton's client, HTTP", "triton", "tritonclient", ALL, "triton_http.py"),
    Suite("triton-grpc", "Triton's client, gRPC", "triton", "tritonclient", ALL, "triton_grpc.py"),
    Suite("mlflow", "MLflow's client", "mlflow", "mlflow-skinny", [SCORE], "mlflow_clients.py"),
    Suite("grpcurl", "grpcurl", "triton", f"grpcurl {GRPCURL}", ALL, "grpcurl.py"),
    Suite(
        "openapi-own",
        "Schemathesis on our document",
        "schemathesis",
        "schemathesis",
        SOUND,
        "openapi_own.py",
    ),
    Suite(
        "openapi-v2",
        "Schemathesis on V2's specification",
        "schemathesis",
        "schemathesis",
        SOUND,
        "openapi_v2.py",
    ),
)
