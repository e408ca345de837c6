"""An MLmodel file tells whether loading the model only reads data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tidemill.errors import UnusableEntry
from tidemill.models.adapters import mlflow_trust

if TYPE_CHECKING:
    from pathlib import Path


def check(folder: Path, name: str, flavor: dict[str, Any], **pyfunc: object) -> None:
    """Check a model with a flavour, and data in the file `model.bin`."""
    (folder / "model.bin").touch()
    (folder / "MLmodel").touch()
    common = {"loader_module": f"mlflow.{name}", "code": None, "data": "model.bin"}
    mlflow_trust.check(folder, {"python_function": common | pyfunc, name: flavor})


class TestAllowed:
    """These need no trust."""

    @pytest.mark.parametrize(
        ("name", "flavor"),
        [
            ("onnx", {"data": "model.bin"}),
            ("catboost", {}),
            ("prophet", {}),
            ("xgboost", {"model_class": "xgboost.sklearn.XGBClassifier"}),
            ("lightgbm", {"model_class": "lightgbm.basic.Booster"}),
        ],
    )
    def test_flavour(self, tmp_path: Path, name: str, flavor: dict[str, Any]) -> None:
        """Flavours that only read data."""
        check(tmp_path, name, flavor)


class TestRefused:
    """Everything else does."""

    @pytest.mark.parametrize(
        ("name", "flavor"),
        [
            ("sklearn", {"serialization_format": "cloudpickle"}),
            ("sklearn", {}),
            ("lightgbm", {"model_class": "lightgbm.sklearn.LGBMClassifier"}),
            ("lightgbm", {}),
            ("xgboost", {"model_class": "own.Class"}),
            ("pytorch", {}),
            ("tensorflow", {}),
            ("own_loader", {}),
        ],
    )
    def test_flavour(self, tmp_path: Path, name: str, flavor: dict[str, Any]) -> None:
        """Flavours that unpickle, or that nobody has looked at. The error names the flavour."""
        with pytest.raises(UnusableEntry, match=rf"the flavour {name} \(") as caught:
            check(tmp_path, name, flavor)
        assert "`trust: pickle`" in caught.value.hint

    @pytest.mark.parametrize(
        "pyfunc",
        [
            {"code": "code"},
            {"code": ""},
            {"model_code_path": "m.py", "loader_module": "mlflow.pyfunc.model"},
        ],
        ids=str,
    )
    def test_code(self, tmp_path: Path, pyfunc: dict[str, Any]) -> None:
        """Models that bring code."""
        with pytest.raises(UnusableEntry, match="with Python code"):
            check(tmp_path, "onnx", {}, **pyfunc)

    @pytest.mark.parametrize("data", ["sub", "../elsewhere/model.bin", ".", "", "sub/model.bin"])
    def test_data(self, tmp_path: Path, data: str) -> None:
        """Models whose data is in another folder, where MLflow would find other flavours."""
        (tmp_path / "m" / "sub").mkdir(parents=True)
        (tmp_path / "m" / "sub" / "model.bin").touch()
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "model.bin").touch()
        with pytest.raises(UnusableEntry):
            check(tmp_path / "m", "onnx", {}, data=data)
