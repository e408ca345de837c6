"""What a round came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faults.checker import Verdict

MOST_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Kill:
    """A kill that was carried out; seconds from it to the next outcomes (`Round.strike`)."""

    victim: str
    point: str
    first: float | None = None
    every: float | None = None


@dataclass(slots=True)
class Findings:
    """Kills, what was seen meanwhile, and the verdict at the end."""

    mode: str
    engine: str
    date: str
    kills: list[Kill] = field(default_factory=list)
    seconds: float = 0.0
    ended: list[str] = field(default_factory=list)
    samples: int = 0
    ahead: list[str] = field(default_factory=list)
    verdict: Verdict | None = None
    stuck: str | None = None

    @property
    def holds(self) -> bool:
        """Whether the delivery's promise was kept."""
        exactly_once = self.mode == "exactly-once"
        kept = self.verdict is not None and self.verdict.holds(exactly_once=exactly_once)
        return kept and not self.ahead and self.stuck is None

    def __str__(self) -> str:
        said = f"{self.mode}, {self.engine}: {len(self.kills)} kills in {self.seconds:.0f} s"
        samples = f"{self.samples} samples, {len(self.ahead)} ahead"
        return "\n".join(
            [
                f"{said}; {self.verdict}; {samples}",
                *self.ahead[:MOST_SHOWN],
                *self.ended,
                *([self.stuck] if self.stuck else []),
                *(
                    f"  {kill.victim}, {kill.point}: {kill.first} s, {kill.every} s"
                    for kill in self.kills
                ),
            ]
        )
