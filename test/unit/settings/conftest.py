"""Load settings from a document, in a folder without a config.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tidemill import settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test in a folder without a config.yaml."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., settings.Settings]:
    """Load settings from a document: `load(stream={"group_id": "g"})`."""

    def from_document(**document: Any) -> settings.Settings:  # noqa: ANN401 - any YAML
        path = tmp_path / "file.yaml"
        path.write_text(yaml.safe_dump(document), "utf-8")
        return settings.load(path)

    return from_document
