"""The modules of the gRPC protocol are those of its definition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dev import ROOT, protocol

if TYPE_CHECKING:
    from pathlib import Path


def test_generated(tmp_path: Path) -> None:
    """`python -m dev.protocol` would change nothing."""
    assert protocol.generate(tmp_path) == 0
    made = {path.name: path.read_text() for path in tmp_path.rglob("*_pb2*.py*")}
    folder = ROOT / "app" / "tidemill" / "protocol"
    assert made == {path.name: path.read_text() for path in folder.glob("*_pb2*.py*")}
