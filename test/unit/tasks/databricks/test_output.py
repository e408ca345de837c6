from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from databricks.sdk.service.jobs import RunOutput, RunTask

from tidemill.errors import DatabricksOutputTruncated
from tidemill.tasks.databricks.output import last_task, result_of

if TYPE_CHECKING:
    from http_api import Json


def task(key: str, *needs: str, attempt: int = 0) -> RunTask:
    """Return a task's run."""
    return RunTask.from_dict(
        {
            "task_key": key,
            "attempt_number": attempt,
            "depends_on": [{"task_key": each} for each in needs],
        }
    )


class TestResult:
    """The result is what a notebook exits with, or what a program prints."""

    @pytest.mark.parametrize(
        ("output", "result"),
        [
            ({"notebook_output": {"result": '{"a": [1]}'}}, {"a": [1]}),
            ({"notebook_output": {"result": "no JSON"}}, "no JSON"),
            ({"notebook_output": {}}, None),
            ({"logs": 'begin\n{"result": [1]}\n{"results": 2}\n17\nend'}, [1]),
            ({"logs": '{"result": 1}\n{"result": null}'}, None),
            ({"logs": "nothing"}, None),
            ({"error": "no"}, None),
            ({}, None),
        ],
        ids=str,
    )
    def test_result(self, output: Json, result: Any) -> None:  # noqa: ANN401
        """JSON is read; other text is returned as it is."""
        assert result_of(RunOutput.from_dict(output), 1) == result

    def test_cut(self) -> None:
        """A part of a result is none."""
        output = {"notebook_output": {"result": "[1, 2", "truncated": True}}
        with pytest.raises(DatabricksOutputTruncated, match="run 17 is too long"):
            result_of(RunOutput.from_dict(output), 17)


class TestLast:
    """The output of a run is that of the task at its end."""

    def test_order(self) -> None:
        """Which no other depends on, wherever it is listed."""
        last = last_task([task("c", "a", "b"), task("a"), task("b", "a")])
        assert last
        assert last.task_key == "c"

    def test_attempts(self) -> None:
        """Of several attempts, the last."""
        last = last_task([task("a", attempt=1), task("a", attempt=0)])
        assert last
        assert last.attempt_number == 1

    def test_none(self) -> None:
        """There is none if several tasks are last, or none is known."""
        assert last_task([task("a"), task("b")]) is None
        assert last_task([]) is None
