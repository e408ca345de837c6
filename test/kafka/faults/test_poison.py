"""A message that crashes or hangs the model becomes a dead letter; the job continues."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from dev.pipeline.pipeline import message, quick_spark
from faults import scenario

if TYPE_CHECKING:
    from dev.pipeline.pipeline import Pipeline

POISON = {7: "hang", 23: "segfault", 31: "exit", 44: "memory"}
TEXTS = {str(i): POISON.get(i, f"t{i}") for i in range(64)}
ERRORS = {
    "7": ("ModelTimedOut", "no answer within 5 s"),
    "23": ("ModelCrashed", "the model's process ended by signal 11"),
    "31": ("ModelCrashed", "the model's process ended with exit code 3"),
    "44": ("PredictionFailed", "MemoryError"),
}


class TestPoison:
    """Some messages make the model hang, crash or run out of memory."""

    @pytest.mark.parametrize("delivery", scenario.BOTH)
    def test_dead_letters(self, pipeline: Pipeline, delivery: str) -> None:
        """Each of them becomes one dead letter with the cause; all others have results.

        The first failed task would end the job, and Spark would wait for a hung one for longer than
        this test.
        """
        pipeline.produce(*(message(uuid, text) for uuid, text in TEXTS.items()))
        environment = pipeline.environment(
            "Poison",
            max_seconds=5,  # on a busy machine the other texts take their time, too
            STREAM__DELIVERY=delivery,
            STREAM__TRIGGER="available-now",
            SPARK=json.dumps(
                quick_spark() | {"spark.master": "local[2]", "spark.executor.pyspark.memory": "4g"}
            ),
        )
        with pipeline.program(environment) as program:
            assert program.wait() == 0, program.output
        letters = {
            json.loads(letter.value or b"")["uuid"]: (
                letter.header("tidemill.error.class"),
                letter.header("tidemill.error.message"),
            )
            for letter in pipeline.dead_letters()
        }
        assert letters == ERRORS
        answered = [json.loads(record.value or b"") for record in pipeline.results()]
        answers = {result["uuid"]: result["answer"] for result in answered}
        assert answers == {u: t.upper() for u, t in TEXTS.items() if u not in ERRORS}
        if delivery == "exactly-once":
            assert (len(answered), len(pipeline.dead_letters())) == (len(answers), len(letters))
        assert pipeline.committed() == (len(TEXTS), 0)
