"""Generate the Python modules of the gRPC protocol from its definition."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from grpc_tools import protoc

from dev import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = "tidemill/protocol/open_inference_grpc.proto"


def generate(target: Path = ROOT / "app") -> int:
    """Write the modules below a folder; return protoc's exit code."""
    kinds = [f"--{kind}={target}" for kind in ("python_out", "pyi_out", "grpc_python_out")]
    exit_code: int = protoc.main(["protoc", f"-I{ROOT / 'app'}", *kinds, SOURCE])
    return exit_code


if __name__ == "__main__":
    sys.exit(generate())
