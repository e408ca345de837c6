"""Train the models that models.yaml names, each on its own seeded history of offers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import skops.io
from skl2onnx import to_onnx
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from examples.cities import messages
from tidemill import load_models

if TYPE_CHECKING:
    from collections.abc import Collection

    from tidemill import ModelSpec

MODELS = Path(__file__).with_name("models.yaml")
HISTORY = 3000  # offers


def train(models: Path = MODELS, cities: Collection[int] = messages.CITIES) -> int:
    """Train the models of some cities, except those that exist; return how many were trained."""
    trained = 0
    for route in load_models(models):
        for variant in route.variants:
            artifact = Path(str(variant.spec.artifact))
            if variant.spec.match["city"] in cities and not artifact.exists():
                save(fit(variant.spec), artifact)
                trained += 1
    return trained


def fit(spec: ModelSpec) -> Any:  # noqa: ANN401 - scikit-learn has no types
    """Return a classifier, trained on offers that were accepted or not.

    The seed is the model's name, so that the versions of a model learn from the same offers.
    """
    random = np.random.default_rng([*spec.name.encode()])
    offers = messages.features(random, HISTORY)
    accepted = random.random(HISTORY) < messages.probability(offers, spec.match)
    scaled: Any = StandardScaler()
    if spec.version == "2":
        curve = make_pipeline(StandardScaler(), PolynomialFeatures(6))
        scaled = make_column_transformer((curve, ["eventtime"]), remainder=StandardScaler())
    return make_pipeline(scaled, LogisticRegression(max_iter=1000)).fit(offers, accepted)


def save(model: Any, artifact: Path) -> None:  # noqa: ANN401 - the same
    """Write a model in the format that the file's suffix names."""
    if artifact.suffix == ".onnx":
        example = messages.features(np.random.default_rng(0), 1)
        content = to_onnx(model, example, options={"zipmap": False}).SerializeToString()
    else:
        content = skops.io.dumps(model)
    artifact.parent.mkdir(exist_ok=True)
    unfinished = artifact.with_suffix(".part")
    unfinished.write_bytes(content)
    unfinished.rename(artifact)


if __name__ == "__main__":
    print(f"trained {train()} models")
