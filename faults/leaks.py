"""Find leaks in the gauges of a soak: values that keep rising, or a pool that changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faults.figures import slope
from faults.gauges import POOL_PROCESSES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WARM_UP_SHARE = 0.25  # ignored: caches fill, Java compiles
# A gauge is flat if it grows by no more than this share of its level, however sure the growth is.
FLAT_SHARE = 0.02


def assess(samples: Sequence[dict[str, float]]) -> dict[str, dict[str, float | bool]]:
    """Return each gauge's level, its growth an hour with the interval, and whether it is flat.

    The number of processes in the pool is flat only if it never changes.
    """
    judged = samples[int(len(samples) * WARM_UP_SHARE) :]
    hours = [sample["seconds"] / 3600 for sample in judged]
    gauges = {}
    for name in _names(samples):
        values = [sample[name] for sample in judged]
        growth, half = slope(hours, values)
        level = sum(values) / len(values)
        least_growth = (growth - half) * (hours[-1] - hours[0])
        gauges[name] = {
            "level": round(level, 1),
            "growth_per_hour": round(growth, 2),
            "margin": round(half, 2),
            "flat": least_growth <= FLAT_SHARE * level
            and (name != POOL_PROCESSES or len(set(values)) == 1),
        }
    return gauges


def plot(samples: Sequence[dict[str, float]], file: Path) -> None:
    """Draw each gauge over time."""
    import matplotlib as mpl  # noqa: PLC0415 - for this picture only

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend is chosen

    names = _names(samples)
    minutes = [sample["seconds"] / 60 for sample in samples]
    figure, axes = plt.subplots(len(names), sharex=True, figsize=(8, 1.7 * len(names)))
    for axis, name in zip(axes, names, strict=True):
        values = [sample[name] for sample in samples]
        axis.plot(minutes, values, lw=1)
        axis.set_ylim(0, 1.1 * max(values))
        axis.set_title(name, loc="left", fontsize=9)
    axes[-1].set_xlabel("minutes")
    figure.tight_layout()
    figure.savefig(file, dpi=110)


def _names(samples: Sequence[dict[str, float]]) -> list[str]:
    return [name for name in samples[0] if name != "seconds"]
