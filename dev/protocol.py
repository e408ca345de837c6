"""Generate the Python modules of the gRPC protocol from its definition."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from dev import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = "tidemill/protocol/open_inference_grpc.proto"


def generate(target: Path = ROOT / "app") -> int:
    """Write the modules below a folder; return protoc's exit code."""
    kinds = [f"--{kind}={target}" for kind in ("python_out", "pyi_out", "grpc_python_out")]
    # In a process of its own: it aborts beside other libraries that bring their own protobuf.
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'app'}"]
    return subprocess.run([*protoc, *kinds, SOURCE], check=False).returncode


if __name__ == "__main__":
    sys.exit(generate())
