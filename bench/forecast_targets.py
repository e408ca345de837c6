"""Compare packed models with what was aimed for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Target(NamedTuple):
    """What was aimed for, and what was measured."""

    name: str
    limit: str
    value: str
    met: bool


def targets(found: dict[str, Any]) -> Iterator[Target]:
    """Yield each target; times are those of a process with one thread, by the clock."""
    ours = {int(samples): each for samples, each in found["ours"]["queries"].items()}
    grown = {(keys, samples): each for keys, samples, _, each in found["growth"]}
    largest = grown.get((100_000, 0))
    models = f"{found['models']:,} models"
    yield at_most(f"bytes for each of {models}, with keys and templates", 1000, found["artifact"])
    yield at_most(f"seconds to open and verify {models}", 1, ours[0]["open s"])
    added = ours[0]["MiB"] - ours[0]["MiB before"]
    yield at_most(f"MiB that {models} add when they are opened", 50, added)
    yield at_most(f"seconds for {models} x 52", 0.3, ours[0]["s"], ours[0]["CPU s"])
    sampled = ours[1000]
    yield at_most(f"seconds for {models} x 52, 1,000 samples", 2, sampled["s"], sampled["CPU s"])
    if largest:
        yield at_most("seconds for 100,000 models x 52", 30, largest["s"], largest["CPU s"])
        yield at_most("MiB at most for 100,000 models x 52", 1024, largest["peak MiB"])


def at_most(name: str, limit: float, value: float, cpu: float | None = None) -> Target:
    """Return a target that is an upper bound; CPU time is shown beside seconds by the clock."""
    shown = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    if cpu is not None:
        shown += f" ({cpu:.3g} of CPU time)"
    return Target(name, f"{limit:,}", shown, value <= limit)
