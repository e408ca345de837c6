"""Packed models answer tables, also as a model of MLflow that needs no Tidemill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import requests

from dev.kafka.ports import HOST, free_ports
from dev.kafka.process import spawn, stop, wait_for_line
from tidemill.errors import InvalidInput
from tidemill.packing import frames, pyfunc
from tidemill.packing.models import PackedModels
from tidemill.packing.pack import pack
from tidemill.packing.queries import Options

if TYPE_CHECKING:
    from prophet_models import Fitted


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory, fitted: dict[str, Fitted]) -> Path:
    """The folder of an artifact with all fitted models."""
    folder = tmp_path_factory.mktemp("packed") / "artifact"
    pack(folder, {key: each.model for key, each in fitted.items()})
    return folder


def table(fitted: dict[str, Fitted], rows: int = 5) -> pd.DataFrame:
    """Return a table with the rows of all models, in no order."""
    frames = [each.future(1, rows).assign(model_key=key) for key, each in fitted.items()]
    return pd.concat(frames, ignore_index=True).sample(frac=1, random_state=1)


class TestFrames:
    """A table has one answer for each row."""

    def test_same_as_prophet(self, artifact: Path, fitted: dict[str, Fitted]) -> None:
        """The answers have the table's index and order, and are those of each model."""
        asked = table(fitted)
        found = frames.predict(PackedModels.open(artifact), asked, Options(components=True))
        assert found.index.equals(asked.index)
        assert found["model_key"].equals(asked["model_key"])
        assert (found["error"] == "").all()
        for key, each in fitted.items():
            each.model.uncertainty_samples = 0
            own = asked[asked["model_key"] == key].sort_values("ds")
            wanted = each.model.predict(own)
            np.testing.assert_array_equal(found.loc[own.index, "yhat"], wanted["yhat"])

    def test_bad_rows(self, artifact: Path, fitted: dict[str, Fitted]) -> None:
        """A bad row has an error, and the model's other rows have forecasts."""
        asked = table(fitted).reset_index(drop=True).astype({"ds": str})
        good = frames.predict(PackedModels.open(artifact), asked, Options())
        priced = asked.index[asked["model_key"] == "priced"]
        asked.loc[priced[0], "price1"] = np.nan
        asked.loc[priced[1], "ds"] = "tomorrow"
        unknown = asked.index[asked["model_key"] == "store-2"][0]
        asked.loc[unknown, "model_key"] = "store-9"
        found = frames.predict(PackedModels.open(artifact), asked, Options())
        bad = {priced[0], priced[1], unknown}
        assert {*found.index[found["error"] != ""]} == bad
        assert found.loc[[*bad], "yhat"].isna().all()
        others = [row for row in asked.index if row not in bad]
        assert found.loc[others, "yhat"].equals(good.loc[others, "yhat"])
        assert found.loc[priced[0], "error"] == "the field 'price1' must be a finite number"
        assert "there is no date in 'ds'" in found.loc[priced[1], "error"]

    @pytest.mark.parametrize(
        "dates",
        [
            pd.to_datetime(["2026-01-31"]).tz_localize("Europe/Paris"),
            pd.Series(["2026-01-31T00:00+01:00"]),
        ],
    )
    def test_time_zones(self, artifact: Path, dates: object) -> None:
        """Dates with a time zone are errors."""
        asked = pd.DataFrame({"model_key": "store-1", "ds": dates})
        found = frames.predict(PackedModels.open(artifact), asked, Options())
        assert "has a time zone" in found["error"][0]

    @pytest.mark.parametrize(
        "dates",
        [
            ["2022-01-02", "2022-01-02T00:00Z", "2022-01-02T00:00+01:00"],
            [pd.Timestamp("2022-01-02"), pd.Timestamp("2022-01-02", tz="UTC"), "2022-01-02T00:00Z"],
            np.array(["2022-01-02", "1600-01-01", "3000-01-01"], "datetime64[s]"),
            ["2022-01-02", "1600-01-01", None],
            [date(2022, 1, 2), "x", {}],
        ],
    )
    def test_bad_dates_fail_alone(self, artifact: Path, dates: Any) -> None:  # noqa: ANN401
        """Time zones, and years that no model can have, do not spoil other rows."""
        asked = pd.DataFrame({"model_key": "store-1", "ds": dates}, index=[0, 0, 1])
        found = frames.predict(PackedModels.open(artifact), asked, Options())
        assert [each != "" for each in found["error"]] == [False, True, True]
        assert found["yhat"].isna().tolist() == [False, True, True]

    def test_columns(self, artifact: Path) -> None:
        """Bounds and forecasts have columns even if all rows are bad, as Spark needs them."""
        models = PackedModels.open(artifact)
        asked = pd.DataFrame({"model_key": ["none"], "ds": ["2022-01-02"]})
        bad = frames.predict(models, asked, Options(samples=5))
        good = frames.predict(models, asked.assign(model_key="store-1"), Options(samples=5))
        assert {*bad} == {*good}
        with pytest.raises(InvalidInput, match="two columns 'ds'"):
            frames.predict(models, pd.concat([asked, asked["ds"]], axis=1), Options())

    def test_empty(self, artifact: Path) -> None:
        """A table without rows has an answer without rows; one without columns is an error."""
        models = PackedModels.open(artifact)
        empty = pd.DataFrame({"model_key": pd.Series(dtype=str), "ds": pd.Series(dtype=str)})
        assert frames.predict(models, empty, Options()).empty
        with pytest.raises(InvalidInput, match="the table has no column 'ds'"):
            frames.predict(models, empty.drop(columns="ds"), Options())


def test_saved(artifact: Path, fitted: dict[str, Fitted], tmp_path: Path) -> None:
    """MLflow loads the model in a process that knows no Tidemill and no Prophet, and asks it."""
    pyfunc.save(tmp_path / "model", artifact)
    asked = table(fitted).astype({"ds": str})
    asked.to_json(tmp_path / "asked.json", orient="split", double_precision=15)
    program = f"""
import json, sys
sys.modules |= dict.fromkeys(["prophet", "cmdstanpy"])
import mlflow, pandas as pd
model = mlflow.pyfunc.load_model({str(tmp_path / "model")!r})
import tidemill
assert {str(tmp_path)!r} in tidemill.__file__, tidemill.__file__
asked = pd.read_json({str(tmp_path / "asked.json")!r}, orient="split", convert_dates=False)
params = {{"samples": 10, "seed": 3, "inference_type": "native"}}
print(model.predict(asked, params=params).to_json(orient="split", double_precision=15))
"""
    environment = {name: each for name, each in os.environ.items() if name != "PYTHONPATH"}
    # Not this checkout, which an editable install would import.
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    found = pd.DataFrame(**json.loads(done.stdout.splitlines()[-1]))
    options = Options(samples=10, seed=3, components=True)
    wanted = frames.predict(PackedModels.open(artifact), asked, options)
    np.testing.assert_allclose(found["yhat_lower"], wanted["yhat_lower"], rtol=1e-9)
    assert {"weekly", "yearly", "holidays", "trend_upper"} & {*wanted} <= {*found}
    assert (found["error"] == "").all()


def test_requirements(artifact: Path, fitted: dict[str, Fitted], tmp_path: Path) -> None:
    """The model asks for Prophet only if Prophet itself must predict."""
    pyfunc.save(tmp_path / "rows", artifact)
    pack(tmp_path / "json", {"a": fitted["store-1"].model}, kinds=["prophet-json"])
    pyfunc.save(tmp_path / "model", tmp_path / "json")
    texts = [(tmp_path / name / "requirements.txt").read_text() for name in ("rows", "model")]
    assert ["prophet==" in text for text in texts] == [False, True]


def test_served(artifact: Path, tmp_path: Path) -> None:
    """`mlflow models serve` answers what the seeds' clients send, one row for each row."""
    pyfunc.save(tmp_path / "model", artifact)
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(tmp_path / "model")]
    command += ["--env-manager", "local", "--host", HOST, "--port", str(port)]
    log = tmp_path / "log"
    # MLflow starts uvicorn by its name.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "PATH": path}
    process = spawn(command, log, cwd=tmp_path, env=environment)
    try:
        # It logs "Application startup complete" before it listens.
        wait_for_line(process, log, "Uvicorn running on", name="mlflow", timeout=300)
        asked = pd.DataFrame(
            {"model_key": ["store-1", "none", "store-2"], "ds": ["2022-01-02"] * 3, "price0": 34.2}
        )
        body = {
            "params": {"inference_type": "native"},
            "dataframe_split": asked.to_dict(orient="split"),
        }
        url = f"http://{HOST}:{port}/invocations"
        found = requests.post(url, json=body, timeout=120).json()["predictions"]
    finally:
        stop(process, 60)
    wanted = frames.predict(PackedModels.open(artifact), asked, Options(components=True))
    assert [each["yhat"] for each in found][0::2] == wanted["yhat"].tolist()[0::2]
    assert found[1]["error"] == "there is no model with the key 'none'"
    assert np.isnan(found[1]["yhat"])
