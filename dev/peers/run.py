"""`make peers`: run other projects' tests and clients against `tidemill serve`.

Each suite has an environment of its own in .tidemill/peers. The results are printed, and written to
docs/peers.md if all suites ran and no test failed that should pass.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

from bench.environments.environments import python_of
from dev import ROOT
from dev.demo.screen import make_console
from dev.peers import kserve_source, page, results, server
from dev.peers.suites import CHECKS, ENVIRONMENTS, HERE, SUITES

if TYPE_CHECKING:
    from dev.peers.results import Result
    from dev.peers.suites import Suite

FOLDER: Final = ROOT / ".tidemill" / "peers"
PAGE: Final = ROOT / "docs" / "peers.md"
LIMIT_S: Final = 900


def main(names: list[str]) -> int:
    """Run the suites with some names, or all; return 1 if a test fails that should not."""
    console = make_console()
    chosen = [suite for suite in SUITES if not names or suite.name in names]
    found: list[tuple[Suite, list[Result]]] = []
    for suite in chosen:
        began = time.monotonic()
        with console.status(suite.title):
            done = run(suite)
        found.append((suite, done))
        console.print(f"{suite.title}: {time.monotonic() - began:.0f} s", markup=False)
        for each in done:
            if each.outcome == results.FAILS:
                console.print(f"  ✗ {each.test}: {each.reason}", markup=False)
    console.print(page.table(found))
    if any(each.outcome == results.FAILS for _, done in found for each in done):
        return 1
    if len(found) == len(SUITES):
        PAGE.write_text(page.page(found), "utf-8")
    return 0


def run(suite: Suite) -> list[Result]:
    """Run a suite's tests in its environment, against a server of its own."""
    python = python_of(suite.environment, lists=ENVIRONMENTS, folder=FOLDER)
    folder = FOLDER / "runs" / suite.name
    folder.mkdir(parents=True, exist_ok=True)
    tests = kserve_source.unpack(FOLDER / "kserve-source") if suite.is_kserves else CHECKS
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    command = [str(python), "-m", "pytest", "-c", str(HERE / "pytest.ini"), f"--rootdir={tests}"]
    with server.running(suite.models, folder) as at, (folder / "pytest.log").open("wb") as log:
        done = subprocess.run(
            [*command, f"--junitxml={report}", *suite.options, suite.tests],
            check=False,
            cwd=tests,
            env=os.environ | {server.HTTP: at.http, server.GRPC: at.grpc, "PYTHONPATH": ""},
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=LIMIT_S,
        )
    if not report.is_file():
        raise SystemExit(f"{suite.name}: pytest ended with {done.returncode}: see {log.name}")
    return results.read(report)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
