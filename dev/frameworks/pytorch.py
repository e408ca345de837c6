"""Train a network with PyTorch, and run it through the adapters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mlflow.pytorch
import torch

from dev.frameworks.adapters import CLASSES, FEATURES, compare, training_data

if TYPE_CHECKING:
    from pathlib import Path


def main() -> None:
    """Print what the ways of the network cost."""
    torch.manual_seed(0)
    features, classes = training_data()
    rows, targets = torch.from_numpy(features), torch.from_numpy(classes)
    network = torch.nn.Sequential(
        torch.nn.Linear(FEATURES, 16),
        torch.nn.ReLU(),
        torch.nn.Linear(16, CLASSES),
        torch.nn.Softmax(dim=1),
    )
    optimizer = torch.optim.Adam(network.parameters(), 0.02)
    for _ in range(100):
        optimizer.zero_grad()
        torch.nn.functional.nll_loss(network(rows).log(), targets).backward()
        optimizer.step()
    network.eval()
    with torch.no_grad():
        expected = network(rows).numpy()

    def export(path: Path) -> None:
        batch = ({0: torch.export.Dim("batch")},)
        torch.onnx.export(network, (rows,), path, dynamic_shapes=batch, dynamo=True)

    compare(features, expected, export, mlflow.pytorch, network)


if __name__ == "__main__":
    main()
