"""Wide flat messages with their JSON Schema, and the CPU time that a check takes for each.

MLflow's environment imports this too, so it needs only the standard library.
"""

from __future__ import annotations

import json
import random
import time
import timeit
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

FIELDS = (50, 600)
BATCH = 256
SEED = 11
REPEATS = 7
# The types of the fields, in turn.
TYPES: tuple[Any, ...] = ("number", "integer", "string", "boolean", ["number", "null"])


def schema(fields: int) -> dict[str, Any]:
    """Return the schema of a message: every field is required, and no other is allowed."""
    names = [f"field_{number:03}" for number in range(fields)]
    return {
        "type": "object",
        "properties": {
            name: {"type": TYPES[number % len(TYPES)]} for number, name in enumerate(names)
        },
        "required": names,
        "additionalProperties": False,
    }


def messages(fields: int, count: int = BATCH) -> list[str]:
    """Return messages that the schema accepts, without nulls, as JSON texts."""
    rng = random.Random(SEED)  # noqa: S311 - no secret
    values: dict[str, Callable[[], object]] = {
        "number": lambda: round(rng.uniform(-1000, 1000), 4),
        "integer": lambda: rng.randrange(10**6),
        "string": lambda: f"value {rng.randrange(1000)}",
        "boolean": lambda: rng.random() < 0.5,
    }
    types = {
        name: kinds if isinstance(kinds, str) else kinds[0]
        for name, kinds in (
            (name, field["type"]) for name, field in schema(fields)["properties"].items()
        )
    }
    return [
        json.dumps({name: values[kind]() for name, kind in types.items()}) for _ in range(count)
    ]


def microseconds(work: Callable[[], object], count: int) -> float:
    """Return the CPU time for each of the messages that one call handles, in µs.

    It is the least of several runs: other programs on the machine only add to it.
    """
    timer = timeit.Timer(work, timer=time.process_time)
    calls, _ = timer.autorange()
    return 1e6 * min(timer.repeat(REPEATS, calls)) / calls / count
