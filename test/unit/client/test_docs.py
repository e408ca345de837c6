"""The examples of docs/client.md run, with a server in place of those that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import server_process
from certificate import write_certificate

from dev import ROOT
from dev.docs.blocks import blocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from server_process import Server

    from dev.docs.blocks import Block

EXAMPLES = [each for each in blocks(ROOT / "docs" / "client.md") if each.language == "python"]
MODELS = """
models:
  - {{name: ner-en, version: "3.8.0", adapter: "served_models:Upper", sample: a}}
"""


@pytest.fixture(scope="module")
def named() -> Iterator[Server]:
    """Return a server with the model that the page names."""
    with server_process.running(processes=1, models=MODELS) as one:
        yield one


@pytest.mark.parametrize("block", EXAMPLES, ids=str)
def test_runs(block: Block, named: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An example ends without an error."""
    write_certificate(tmp_path)
    (tmp_path / "certificate.pem").rename(tmp_path / "ca.pem")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOKEN", "sixteen-or-more-characters")
    http = f"127.0.0.1:{named.port}"
    program = block.text.replace("localhost:8081", named.address)
    for address in ("localhost:8080", "10.0.0.1:8080", "10.0.0.2:8080"):
        program = program.replace(address, http)
    exec(compile(program, str(block), "exec"), {"__name__": "example"})  # noqa: S102 - ours


def test_outputs(named: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """The first example prints the outputs, and that of errors their titles."""
    for index in (0, 2):
        program = EXAMPLES[index].text.replace("localhost:8080", f"127.0.0.1:{named.port}")
        exec(compile(program, "example", "exec"), {})  # noqa: S102 - ours
    printed = capsys.readouterr().out
    assert "['ADA LOVELACE MET CHARLES BABBAGE.', 'NOBODY MET ANYBODY.']" in printed
    assert "InputTooLong 400 the input has 2000000 characters" in printed
    assert "ADA LOVELACE ner-en 3.8.0" in printed
