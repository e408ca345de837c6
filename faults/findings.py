"""The result of a round of kills."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faults.checker import Verdict

MAX_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Recovery:
    """A kill, and the seconds until the job answered again (`Killer.carry_out`)."""

    target: str
    point: str
    first: float | None = None
    every: float | None = None


@dataclass(slots=True)
class Findings:
    """A round's kills, what the sampler saw meanwhile, and the checker's verdict at the end."""

    mode: str
    engine: str
    date: str
    kills: list[Recovery] = field(default_factory=list)
    seconds: float = 0.0
    # What happened to the job, apart from the kills.
    unexpected: list[str] = field(default_factory=list)
    samples: int = 0
    # Samples in which the group's offset was ahead of the outcomes.
    ahead: list[str] = field(default_factory=list)
    verdict: Verdict | None = None
    # Why the round was given up.
    stuck: str | None = None

    @property
    def holds(self) -> bool:
        """Whether the job kept the promise of its delivery mode."""
        exactly_once = self.mode == "exactly-once"
        kept = self.verdict is not None and self.verdict.holds(exactly_once=exactly_once)
        return kept and not self.ahead and self.stuck is None

    def __str__(self) -> str:
        kills = f"{self.mode}, {self.engine}: {len(self.kills)} kills in {self.seconds:.0f} s"
        samples = f"{self.samples} samples, {len(self.ahead)} ahead"
        return "\n".join(
            [
                f"{kills}; {self.verdict}; {samples}",
                *self.ahead[:MAX_SHOWN],
                *self.unexpected,
                *([self.stuck] if self.stuck else []),
                *(
                    f"  {kill.target}, {kill.point}: {kill.first} s, {kill.every} s"
                    for kill in self.kills
                ),
            ]
        )
