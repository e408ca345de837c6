"""The adapter `packed`: one input, one forecast, or an error of its own."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from prophet_models import fit
from specs import make_spec

from tidemill.errors import ArtifactDamaged, InvalidInput, UntrustedPickle, UnusableEntry
from tidemill.inference.batch import run_batch
from tidemill.models.adapters.packed import Packed
from tidemill.packing.pack import pack

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an artifact with two models."""
    folder = tmp_path_factory.mktemp("packed") / "artifact"
    one = fit(0, freq="W", regressors=0)
    other = fit(1, freq="W", regressors=3, holidays="none")
    pack(folder, {"a": one.model, "b": other.model})
    return folder


def ask(**fields: Any) -> str:  # noqa: ANN401 - JSON
    """Return an input."""
    return json.dumps({"model_key": "a", "ds": "2022-01-02"} | fields)


def test_outputs(artifact: Path) -> None:
    """A date gets numbers, a list of dates lists of them, in their order."""
    model = Packed(str(artifact))
    dates = ["2022-01-09", "2022-01-02", "2022-01-09"]
    one, several = (json.loads(each) for each in model.predict_all([ask(), ask(ds=dates)]))
    assert one.keys() == several.keys() == {"ds", "trend", "yhat"}
    assert several["ds"] == dates
    assert several["yhat"][1] == one["yhat"]
    assert several["yhat"][0] == several["yhat"][2] != one["yhat"]


def test_options(artifact: Path) -> None:
    """Options ask for intervals and components; a seed decides the samples."""
    first, again, other = (
        Packed(str(artifact), samples=50, seed=seed, components=True).predict_all([ask()])
        for seed in (1, 1, 2)
    )
    assert first == again != other
    found = json.loads(first[0])
    assert found["yhat_lower"] < found["yhat"] < found["yhat_upper"]
    assert {"weekly", "additive_terms", "trend_lower"} & found.keys()


def test_bad_inputs_fail_alone(artifact: Path) -> None:
    """Of a batch, an unknown key, a missing regressor and bad JSON fail, and nothing else."""
    spec = make_spec(is_text=False, sample=None)
    model = Packed(str(artifact))
    inputs = [ask(), ask(model_key="c"), ask(), ask(model_key="b"), "[]", ask(ds="2022-01-09")]
    outputs = run_batch(spec, lambda _: model, inputs, clock=lambda: 0.0)
    failed = {n: each.result for n, each in enumerate(outputs) if not isinstance(each.result, str)}
    assert failed.keys() == {1, 3, 4}
    assert all(isinstance(each, InvalidInput) for each in failed.values())
    assert str(failed[1]) == "there is no model with the key 'c'"
    assert str(failed[3]) == "the model 'b' needs the field 'price0'"


def test_wrong_entries(artifact: Path, tmp_path: Path) -> None:
    """An entry that cannot be used, or an artifact that was changed, is an error at the start."""
    with pytest.raises(UnusableEntry, match="do not run on cuda"):
        Packed(str(artifact), device="cuda")
    with pytest.raises(UnusableEntry, match="samples must be a number from 0 to 10000, not -1"):
        Packed(str(artifact), samples=-1)
    changed = tmp_path / "changed"
    shutil.copytree(artifact, changed)
    part = max(changed.iterdir(), key=lambda path: path.stat().st_size)
    part.write_bytes(part.read_bytes()[:-1] + b"?")
    with pytest.raises(ArtifactDamaged):
        Packed(str(changed))


@pytest.mark.parametrize("compression", ["none", "gzip", "bz2", "lzma", "brotli", "zstd", "blosc"])
def test_pickles_need_trust(compression: str, tmp_path: Path) -> None:
    """Pickles load only with `trust: pickle`, and predict the same."""
    model = fit(0, freq="W", regressors=0).model
    pack(tmp_path / "safe", {"a": model})
    pack(tmp_path / "pickles", {"a": model}, kinds=[f"pickle-{compression}"])
    with pytest.raises(UntrustedPickle, match="pickles has pickles"):
        Packed(str(tmp_path / "pickles"))
    options: dict[str, Any] = {"samples": 20, "seed": 5}
    (pickled,) = Packed(str(tmp_path / "pickles"), trust="pickle", **options).predict_all([ask()])
    (safe,) = Packed(str(tmp_path / "safe"), **options).predict_all([ask()])
    own, wanted = json.loads(pickled), json.loads(safe)
    assert own["yhat"] == wanted["yhat"]
    assert own["yhat_lower"] == pytest.approx(wanted["yhat_lower"], rel=1e-9)


def test_ten_thousand_keys(tmp_path: Path) -> None:
    """One input for each of ten thousand models, in one call."""
    fitted = fit(0, freq="W", regressors=0).model
    pack(tmp_path / "many", ((f"key-{number}", fitted) for number in range(10_000)))
    model = Packed(str(tmp_path / "many"))
    outputs = model.predict_all([ask(model_key=f"key-{number}") for number in range(10_000)])
    assert len(outputs) == 10_000
    (alone,) = model.predict_all([ask(model_key="key-77")])
    assert {*outputs} == {alone}
    assert pd.Timestamp(json.loads(alone)["ds"]) == pd.Timestamp("2022-01-02")
