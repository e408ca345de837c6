"""Packed models of Prophet predict what Prophet predicts, bit by bit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import prophet
import prophet_models
import pytest
from prophet.serialize import model_from_json
from prophet_models import SHAPES, Fitted, fit

from tidemill.errors import InvalidInput, Unpackable
from tidemill.packing.models import PackedModels
from tidemill.packing.pack import pack
from tidemill.packing.prophet import country
from tidemill.packing.queries import Options, Query

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidemill.packing.kinds import Forecast

MODELS = 304
CHUNK = 16
YEARS = "2030-01-01", "2050-01-01"
SEED = 7
# Where inputs start, in steps after the history, and how many rows they have. Each model gets two.
FUTURES = ((1, 1), (1, 52), (-5, 30), (1 - prophet_models.ROWS, prophet_models.ROWS))
LOGISTIC = next(n for n, each in enumerate(SHAPES) if each.growth == "logistic")


def query(key: str, frame: pd.DataFrame) -> Query:
    """Return the question that a frame asks."""
    dates = frame["ds"].to_numpy("datetime64[ns]").astype(np.int64)
    columns = {str(name): frame[name].to_numpy(np.float64) for name in frame.columns.drop("ds")}
    return Query(key, dates, columns)


def packed(folder: Path, models: dict[str, Any], **options: Any) -> PackedModels:  # noqa: ANN401
    """Return models after a round trip through an artifact."""
    pack(folder / "artifact", models, **options)
    return PackedModels.open(folder / "artifact")


def expected(model: Any, frame: pd.DataFrame, seed: int, samples: int) -> pd.DataFrame:  # noqa: ANN401
    """Return what Prophet predicts, in the order of the frame."""
    model.uncertainty_samples = samples
    np.random.seed(seed)  # noqa: NPY002 - the generator that Prophet uses
    found = model.predict(frame.copy())
    order = np.argsort(frame["ds"].to_numpy(), kind="stable")
    return found.set_index(order).sort_index()


def compare(found: Forecast | InvalidInput, wanted: pd.DataFrame, sampled: set[str]) -> None:
    """Check each column: equal numbers, except that samples may be rounded differently."""
    assert not isinstance(found, InvalidInput), found
    assert {"yhat", "trend", "additive_terms", "multiplicative_terms", *sampled} <= found.keys()
    for name, values in found.items():
        if name in sampled:
            np.testing.assert_allclose(values, wanted[name], rtol=1e-9, atol=1e-9, err_msg=name)
        else:
            np.testing.assert_array_equal(values, wanted[name], err_msg=name)
    bounds = {f"{name}{side}" for name in found for side in ("_lower", "_upper")}
    assert {*wanted.columns} - bounds - {"ds", "cap", "floor"} <= found.keys()


BOUNDS = {f"{name}_{side}" for name in ("yhat", "trend") for side in ("lower", "upper")}


@pytest.mark.parametrize("first", range(0, MODELS, CHUNK))
def test_same_as_prophet(first: int, tmp_path: Path) -> None:
    """Models of all kinds, asked together about the past and the future, in any order of dates."""
    fitted = {f"m{number}": fit(number) for number in range(first, first + CHUNK)}
    models = packed(tmp_path, {key: each.model for key, each in fitted.items()})
    for start, rows in FUTURES[first // CHUNK % 2 :: 2]:
        frames = {
            key: each.future(start, rows, seed=first).sample(frac=1, random_state=first)
            for key, each in fitted.items()
        }
        asked = [query(key, frame) for key, frame in frames.items()]
        found = models.predict(asked, Options(samples=50, seed=SEED, components=True))
        for (key, frame), each in zip(frames.items(), found, strict=True):
            model = fitted[key].model
            compare(each, expected(model, frame.reset_index(drop=True), SEED, 50), BOUNDS)


def test_all_shapes_are_tried() -> None:
    """The models above have every shape."""
    assert len(SHAPES) <= MODELS


@pytest.mark.parametrize("number", [0, 100, 200])
def test_long_future(number: int, tmp_path: Path) -> None:
    """Ten thousand rows, with leap days, duplicate dates, and both changes of the clock."""
    one = fit(number, freq="h", holidays="country")
    frame = pd.concat([one.future(1, 9_990), one.future(1, 10)], ignore_index=True)
    (found,) = packed(tmp_path, {"a": one.model}).predict(
        [query("a", frame)], Options(components=True)
    )
    compare(found, expected(one.model, frame, 0, 0), set())


def test_many_at_once(tmp_path: Path) -> None:
    """What a model predicts does not depend on which others are asked with it."""
    fitted = [fit(number, growth=SHAPES[0].growth, regressors=3) for number in range(12)]
    models = packed(tmp_path, {f"m{n}": each.model for n, each in enumerate(fitted)})
    asked = [query(f"m{n}", each.future(1, 20, seed=n)) for n, each in enumerate(fitted)] * 2
    options = Options(samples=20, components=True)
    alone = [models.predict([each], options)[0] for each in asked]
    for one, together in zip(alone, models.predict(asked, options), strict=True):
        assert isinstance(one, dict)
        assert isinstance(together, dict)
        assert one.keys() == together.keys()
        assert all((one[name] == together[name]).all() for name in one)


@pytest.mark.parametrize("version", ["0.6.1.dev0", "0.7.1", "1.0.1"])
def test_old_models(version: str, tmp_path: Path) -> None:
    """Models that older releases of Prophet saved predict the same."""
    path = Path(prophet.__file__).parent / "tests" / f"serialized_model_v{version}.json"
    model: Any = model_from_json(json.loads(path.read_text()))
    frame = pd.DataFrame({"ds": pd.date_range(model.start + model.t_scale, periods=60)})
    for name in model.extra_regressors:
        frame[name] = np.linspace(0, 1, 60)
    frame["cap"], frame["floor"] = 1e3, 0.0
    for each in model.seasonalities.values():
        if each["condition_name"]:
            frame[each["condition_name"]] = True
    kept = frame[["ds", *(name for name in frame.columns if name != "ds")]]
    (found,) = packed(tmp_path, {"a": model}).predict(
        [query("a", kept)], Options(samples=20, seed=3, components=True)
    )
    compare(found, expected(model, kept, 3, 20), BOUNDS)


def test_without_prophet(tmp_path: Path) -> None:
    """An artifact needs neither Prophet nor Stan, matplotlib, pandas or the package holidays."""
    one = fit(0, holidays="country", growth="linear")
    pack(tmp_path / "artifact", {"a": one.model})
    program = f"""
import sys
sys.modules |= dict.fromkeys(["prophet", "cmdstanpy", "matplotlib", "pandas", "holidays"])
from tidemill.models.adapters.packed import Packed
model = Packed({str(tmp_path / "artifact")!r}, samples=10)
print(model.predict_all(['{{"model_key": "a", "ds": "2019-07-04"}}'])[0])
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (wanted,) = expected(one.model, one.columns(pd.to_datetime(["2019-07-04"])), 0, 0)["yhat"]
    assert json.loads(done.stdout)["yhat"] == wanted


class TestCalendar:
    """Holidays of years that an artifact does not contain."""

    def test_other_years(self, tmp_path: Path) -> None:
        """The package holidays knows them."""
        one = fit(0, holidays="country", freq="D")
        frame = one.columns(pd.date_range("2049-12-20", periods=20))
        (found,) = packed(tmp_path, {"a": one.model}).predict(
            [query("a", frame)], Options(components=True)
        )
        compare(found, expected(one.model, frame, 0, 0), set())

    def test_without_the_package(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without it, only the queries for such years fail, and name the country and the year."""
        one = fit(0, holidays="country", freq="D")
        models = packed(tmp_path, {"a": one.model})
        country._holidays_of.cache_clear()  # noqa: SLF001 - as in a new process
        monkeypatch.setitem(sys.modules, "holidays", None)
        asked = [query("a", one.columns(pd.to_datetime([day]))) for day in YEARS]
        fine, late = models.predict(asked)
        assert not isinstance(fine, InvalidInput)
        assert str(late) == (
            "the artifact has the holidays of US from 1995 to 2044; for 2050, the package holidays "
            "must be installed"
        )

    def test_ended(self, tmp_path: Path) -> None:
        """A country's holiday may have ended before 1995, and a model have others of its own."""
        dates = pd.date_range("1948-01-01", periods=800)
        history = pd.DataFrame({"ds": dates, "y": np.sin(np.arange(800))})
        own = pd.DataFrame({"holiday": ["sale"], "ds": pd.to_datetime(["1949-05-05"])})
        model: Any = prophet.Prophet(holidays=own)
        model.add_country_holidays("US").fit(history)
        assert "Armistice Day" in {*model.train_holiday_names}
        frame = pd.DataFrame({"ds": pd.date_range("1949-04-01", periods=900)})
        (found,) = packed(tmp_path, {"a": model}).predict(
            [query("a", frame)], Options(components=True)
        )
        compare(found, expected(model, frame, 0, 0), set())


class TestUnsupported:
    """Models that are no rows of numbers."""

    def test_time(self, tmp_path: Path) -> None:
        """Prophet takes a regressor `t` for the time; only Prophet itself does the same."""
        history = fit(0, regressors=1, holidays="none", growth="linear").history
        history["t"] = history.pop("price0")
        model: Any = prophet.Prophet().add_regressor("t").fit(history)
        frame = pd.DataFrame({"ds": pd.date_range("2020-01-01", periods=9), "t": 5.0})
        (found,) = packed(tmp_path, {"a": model}).predict([query("a", frame)])
        assert isinstance(found, dict)
        np.testing.assert_array_equal(found["yhat"], expected(model, frame, 0, 0)["yhat"])

    def test_condition(self, tmp_path: Path) -> None:
        """A seasonality with a condition is evaluated by Prophet, from its JSON."""
        history = fit(0, regressors=0, holidays="none").history
        history["on"] = history.index % 2 == 0
        model = prophet.Prophet(weekly_seasonality=False)
        model.add_seasonality("weekly_on", 7, 3, condition_name="on")
        model.fit(history)
        frame = pd.DataFrame({"ds": pd.date_range("2020-01-01", periods=9), "on": True})
        models = packed(tmp_path, {"a": model})
        (found,) = models.predict([query("a", frame)], Options(samples=20, components=True))
        assert isinstance(found, dict)
        wanted = expected(model, frame, 0, 20)
        assert all((found[name] == wanted[name]).all() for name in found)
        (missing,) = models.predict([query("a", frame.drop(columns="on"))])
        assert str(missing) == "the model 'a' needs the field 'on'"
        (half,) = models.predict([query("a", frame.assign(on=0.5))])
        assert str(half) == "the field 'on' must be true or false"

    def test_interval(self, tmp_path: Path) -> None:
        """A model whose interval cannot be sampled fails only if samples are asked for."""
        one = fit(0, regressors=0, holidays="none")
        one.model.interval_width = 1.2
        models = packed(tmp_path, {"a": one.model})
        asked = [query("a", one.future(1, 3))]
        assert isinstance(models.predict(asked)[0], dict)
        (error,) = models.predict(asked, Options(samples=5))
        assert str(error) == "Percentiles must be in the range [0, 100]"

    def test_nested_predictor(self, tmp_path: Path) -> None:
        """A regressor with a predictor of its own is refused, because Prophet's JSON lacks it."""
        history = fit(0, regressors=1, holidays="none", growth="linear").history
        model = prophet.Prophet().add_regressor("price0", regressor_predictor=True)
        model.fit(history)
        with pytest.raises(Unpackable, match="'a' cannot be packed: a regressor has a predictor"):
            pack(tmp_path / "artifact", {"a": model})

    def test_keys(self, tmp_path: Path) -> None:
        """A key that is no text, or only half of a character, is refused."""
        for key in (7, "\udcff"):
            with pytest.raises(Unpackable, match="its key is no text"):
                packed(tmp_path, {key: fit(0).model})  # type: ignore[dict-item]

    def test_not_fitted(self, tmp_path: Path) -> None:
        """A model that is not fitted is refused."""
        with pytest.raises(Unpackable, match="it is not fitted"):
            pack(tmp_path / "artifact", {"a": prophet.Prophet()})


class TestExtremes:
    """Dates that are very close to each other, or very far away, and very many samples."""

    @pytest.mark.parametrize("distance", [0, 1])
    def test_close(self, distance: int, tmp_path: Path) -> None:
        """A logistic trend takes no memory for the steps between dates of one nanosecond."""
        models = packed(tmp_path, {"a": fit(LOGISTIC, regressors=0, floor=False).model})
        dates = np.array([0, distance]) + 2_000_000_000_000_000_000
        asked = Query("a", dates, {"cap": np.full(2, 90.0)})
        (found,) = models.predict([asked], Options(samples=20))
        assert isinstance(found, dict)
        assert (found["trend_lower"] <= found["trend_upper"]).all()
        assert (found["yhat_lower"] < found["yhat_upper"]).all()

    def test_far(self, tmp_path: Path) -> None:
        """A date whose distance no integer holds is an error, as in Prophet."""
        one = fit(0, freq="D", holidays="none", regressors=0)
        models = packed(tmp_path, {"a": one.model})
        far, near = one.columns(pd.to_datetime(["1700-01-01"])), one.future(1, 1)
        (error, good) = errors_of(models, [query("a", far), query("a", near)])
        assert error == "the date 1700-01-01 is more than 292 years from the history of 'a'"
        assert not good
        with pytest.raises(OverflowError):
            one.model.predict(far)

    def test_many(self, tmp_path: Path) -> None:
        """A query whose samples would fill the memory is an error."""
        one = fit(0, freq="D", holidays="none", regressors=0)
        models = packed(tmp_path, {"a": one.model})
        asked = [query("a", one.future(1, rows)) for rows in (1, 2_001)]
        good, error = models.predict(asked, Options(samples=10_000))
        assert not isinstance(good, InvalidInput)
        assert str(error) == (
            "there are 2001 dates; with 10000 samples, ask for at most 2000 at once"
        )


def errors_of(models: PackedModels, asked: Iterable[Query]) -> list[str]:
    """Return errors as text, and an empty text for each forecast."""
    found = models.predict([*asked])
    return [str(each) if isinstance(each, InvalidInput) else "" for each in found]


def test_bad_queries(tmp_path: Path) -> None:
    """Each question that has no answer has an error of its own."""
    one: Fitted = fit(
        next(n for n, each in enumerate(SHAPES) if each.growth == "logistic" and each.regressors)
    )
    models = packed(tmp_path, {"store-1": one.model, "store-2": one.model})
    good = one.future(1, 3)
    bad = {
        "nan": good.assign(price0=[1.0, np.nan, 2.0]),
        "infinite": good.assign(price1=[np.inf, 0, 1]),
        "missing": good.drop(columns="price2"),
        "low": good.assign(cap=-1e9),
    }
    asked = [query("store-1", good), query("store-3", good)]
    asked += [query("store-2", frame) for frame in bad.values()]
    fine, unknown, nan, infinite, missing, low = errors_of(models, asked)
    assert not fine
    assert unknown == "there is no model with the key 'store-3'; there are store-2, store-1"
    assert nan == "the field 'price0' must be a finite number at index 1"
    assert infinite == "the field 'price1' must be a finite number at index 0"
    assert missing == "the model 'store-2' needs the field 'price2'"
    assert low.startswith("the field 'cap' must exceed the floor")
