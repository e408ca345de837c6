"""Train a network with Keras on TensorFlow, and run it through the adapters."""

from __future__ import annotations

import keras
import mlflow.tensorflow

from dev.frameworks.adapters import CLASSES, FEATURES, compare, training_data


def main() -> None:
    """Print what the ways of the network cost."""
    keras.utils.set_random_seed(0)
    features, classes = training_data()
    network = keras.Sequential(
        [
            keras.layers.Input((FEATURES,)),
            keras.layers.Dense(16, "relu"),
            keras.layers.Dense(CLASSES, "softmax"),
        ]
    )
    network.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    network.fit(features, classes, epochs=20, verbose=0)
    expected = network.predict(features, verbose=0)
    compare(
        features,
        expected,
        lambda path: network.export(path, format="onnx", verbose=False),
        mlflow.tensorflow,
        network,
    )


if __name__ == "__main__":
    main()
