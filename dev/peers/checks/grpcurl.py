"""grpcurl, which learns the protocol from the server by reflection."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from base64 import b64encode
from typing import Final

import pytest

from dev import ROOT
from dev.peers.server import addresses
from dev.peers.suites import GRPCURL

FOLDER: Final = ROOT / ".tidemill" / "peers" / f"grpcurl-{GRPCURL}"
INFER: Final = "inference.GRPCInferenceService/ModelInfer"

# Go compiles it the first time, which takes a minute and a half.
pytestmark = [
    pytest.mark.skipif(not shutil.which("go"), reason="needs Go, which builds grpcurl"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def grpcurl() -> str:
    """Return the path of the program; build it if necessary."""
    program = FOLDER / "grpcurl"
    if not program.exists():
        package = f"github.com/fullstorydev/grpcurl/cmd/grpcurl@v{GRPCURL}"
        subprocess.run(
            ["go", "install", package], check=True, env=os.environ | {"GOBIN": str(FOLDER)}
        )
    return str(program)


def run(grpcurl: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program against the server."""
    return subprocess.run(
        [grpcurl, "-plaintext", *arguments], check=False, capture_output=True, text=True
    )


def infer(model: str, text: str) -> str:
    """Return a request as JSON, in which bytes are in base64."""
    contents = {"bytesContents": [b64encode(text.encode()).decode()]}
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "contents": contents}
    return json.dumps({"modelName": model, "inputs": [tensor]})


def test_list(grpcurl: str) -> None:
    """The services are listed."""
    done = run(grpcurl, addresses().grpc, "list")
    assert done.stdout.split() == [
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "inference.GRPCInferenceService",
    ]


def test_describe(grpcurl: str) -> None:
    """The service is described, with its methods."""
    done = run(grpcurl, addresses().grpc, "describe", INFER.partition("/")[0])
    assert "rpc ModelInfer ( .inference.ModelInferRequest )" in done.stdout


def test_infer(grpcurl: str) -> None:
    """A model predicts."""
    done = run(grpcurl, "-d", infer("upper", "ada"), addresses().grpc, INFER)
    (output,) = json.loads(done.stdout)["outputs"]
    assert [*output["contents"].values()] == [[b64encode(b"ADA").decode()]]


def test_error(grpcurl: str) -> None:
    """An error has its code and its reason."""
    done = run(grpcurl, "-d", infer("no-model", "ada"), addresses().grpc, INFER)
    assert done.returncode
    assert "Code: NotFound" in done.stderr
    assert "there is no model 'no-model'" in done.stderr


@pytest.mark.parametrize("service", ["", "inference.GRPCInferenceService"])
def test_health(grpcurl: str, service: str) -> None:
    """The health of the server and of its service is told."""
    request = json.dumps({"service": service})
    done = run(grpcurl, "-d", request, addresses().grpc, "grpc.health.v1.Health/Check")
    assert json.loads(done.stdout) == {"status": "SERVING"}
