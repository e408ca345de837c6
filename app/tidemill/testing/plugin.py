"""Collect a models.yaml that is named on the command line: `pytest models.yaml`."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Turn a models.yaml into a module of tests: the contract, for each of its entries.

    Only a file that the command line names is collected; in a folder it is data.
    """
    if not (file_path.match("*models*.y*ml") and parent.session.isinitpath(file_path)):
        return None
    from tidemill.testing.contract import ModelContract  # noqa: PLC0415 - few runs need it

    module = ModuleType(file_path.stem, f"The contract of the models in {file_path.name}.")
    module.TestModels = type("TestModels", (ModelContract,), {"models": file_path})  # type: ignore[attr-defined]
    collector: pytest.Module = pytest.Module.from_parent(parent, path=file_path)
    collector.obj = module
    return collector
