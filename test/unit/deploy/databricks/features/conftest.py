from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from features_api import FeatureWorkspace, serving
from jobs_api import TOKEN

from deploy.databricks.features.description import Description, read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from http_api import Json

EXAMPLE = Path(__file__).parents[5] / "deploy" / "databricks" / "features" / "example.yaml"


@pytest.fixture
def example() -> Json:
    """The shipped description, as a document that a test may change."""
    document: Json = yaml.safe_load(EXAMPLE.read_text("utf-8"))
    return document


@pytest.fixture
def description() -> Description:
    """The shipped description."""
    return read(EXAMPLE)


@pytest.fixture
def features_workspace() -> Iterator[FeatureWorkspace]:
    """A local workspace that has nothing yet."""
    with serving(FeatureWorkspace()) as served:
        yield served


@pytest.fixture
def login(
    features_workspace: FeatureWorkspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """Log the SDK in to the workspace, by its own variables and no others."""
    variables = {
        "HOME": str(tmp_path),
        "DATABRICKS_HOST": features_workspace.url,
        "DATABRICKS_TOKEN": TOKEN,
        "DATABRICKS_WAREHOUSE_ID": "w1",
    }
    for name in [name for name in os.environ if name.startswith("DATABRICKS_")]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables
