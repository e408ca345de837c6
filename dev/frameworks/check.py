"""`make frameworks`: run models of PyTorch and TensorFlow through the adapters, by each way.

Each framework gets an environment of its own under .tidemill/frameworks, because they are large and
disagree about what they depend on. pip's settings may name an index with smaller builds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from dev import PYTHONPATH, ROOT
from dev.demo.screen import make_console

ENVIRONMENTS: Final = ROOT / ".tidemill" / "frameworks"
UV: Final = Path(sysconfig.get_path("scripts")) / "uv"
# By framework, which is also the module that exports: what to install besides Tidemill.
PACKAGES: Final = {
    "pytorch": ["torch>=2.9", "onnxscript"],
    "tensorflow": ["tensorflow-cpu>=2.20", "tf2onnx"],
}


def main() -> int:
    """Install, export, predict, and print a table; return 1 if an adapter changes an output."""
    console = make_console()
    table = Table("framework", "way", "bytes", "load, s", "256 rows, ms", "largest difference")
    is_equal = True
    for framework, packages in PACKAGES.items():
        with console.status(f"installing {framework}"):
            python = install(framework, packages)
        with console.status(f"running {framework}"):
            results = run(framework, python)
        for result in results:
            is_equal &= result["difference"] < 1e-5
            table.add_row(
                framework,
                result["way"],
                f"{result['bytes']:,}",
                f"{result['load_s']:.2f}",
                f"{result['batch_ms']:.1f}",
                f"{result['difference']:.1g}",
            )
    console.print(table)
    return 0 if is_equal else 1


def install(framework: str, packages: list[str]) -> Path:
    """Return the Python of the framework's environment, which is created if necessary."""
    environment = ENVIRONMENTS / framework
    python = environment / "bin" / "python"
    if not python.exists():
        subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, environment], check=True)
    # MLflow infers signatures with scipy, but does not need it to predict.
    tidemill = ["--editable", f"{ROOT}[mlflow,onnx]", "scipy"]
    subprocess.run(
        [UV, "pip", "install", "--quiet", "--python", python, *tidemill, *packages], check=True
    )
    return python


def run(framework: str, python: Path) -> list[dict[str, Any]]:
    """Run a framework's module, whose advice goes into a log; return what it measured."""
    log = ENVIRONMENTS / f"{framework}.log"
    with log.open("wb") as stderr:
        done = subprocess.run(
            [python, "-m", f"dev.frameworks.{framework}"],
            check=False,
            cwd=ENVIRONMENTS,
            env=os.environ | {"PYTHONPATH": PYTHONPATH, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
    if done.returncode:
        raise SystemExit(f"dev.frameworks.{framework} failed: see {log}")
    results: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return results


if __name__ == "__main__":
    sys.exit(main())
