"""Each state that the SDK knows has a meaning, so that a new one cannot be forgotten."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from databricks.sdk.service.jobs import (
    QueueDetailsCodeCode,
    Run,
    RunLifeCycleState,
    RunLifecycleStateV2State,
    RunResultState,
    TerminationCodeCode,
)

from tidemill.errors.base import MAX_MESSAGE
from tidemill.tasks.databricks import states

if TYPE_CHECKING:
    from enum import Enum

    from http_api import Json

OLD, NEW = list(RunLifeCycleState), list(RunLifecycleStateV2State)


def run(**fields: Json) -> Run:
    """Return a run as the SDK reads it."""
    return Run.from_dict({"run_id": 7, "run_page_url": "https://w/7", **fields})


class TestStates:
    """A run goes on or has ended."""

    @pytest.mark.parametrize("state", OLD, ids=lambda state: state.value)
    def test_old(self, state: Enum) -> None:
        """By the older field, if there is no other."""
        found = run(state={"life_cycle_state": state.value})
        ended = state.value in {"TERMINATED", "SKIPPED", "INTERNAL_ERROR"}
        assert states.has_ended(found) == ended
        assert (state.value in states.DOES) != ended

    @pytest.mark.parametrize("state", NEW, ids=lambda state: state.value)
    def test_new(self, state: Enum) -> None:
        """By the newer field, whatever the older says."""
        found = run(status={"state": state.value}, state={"life_cycle_state": "RUNNING"})
        assert states.has_ended(found) == (state.value == "TERMINATED")
        assert (state.value in states.DOES) != (state.value == "TERMINATED")

    def test_unknown(self) -> None:
        """A state that the SDK does not know passes; the older field may know more."""
        assert not states.has_ended(run(status={"state": "DREAMING"}))
        assert states.progress(run())[1] == "is in an unknown state: https://w/7"
        both = run(status={"state": "GONE"}, state={"life_cycle_state": "TERMINATED"})
        assert states.has_ended(both)


class TestCodes:
    """A run that has ended succeeded, or there is a hint."""

    @pytest.mark.parametrize("code", TerminationCodeCode, ids=lambda code: code.value)
    def test_new(self, code: Enum) -> None:
        """For each code of the newer field, which comes first."""
        details = {"code": code.value, "message": "why"}
        found = run(
            status={"state": "TERMINATED", "termination_details": details},
            state={"life_cycle_state": "TERMINATED", "result_state": "TIMEDOUT"},
        )
        assert (states.code(found), states.message(found)) == (code.value, "why")
        assert (code.value in states.SUCCEEDED) != (code.value in states.HINTS)

    @pytest.mark.parametrize("code", RunResultState, ids=lambda code: code.value)
    def test_old(self, code: Enum) -> None:
        """For each result of the older one."""
        old = {"life_cycle_state": "TERMINATED", "result_state": code.value, "state_message": "why"}
        assert (states.code(run(state=old)), states.message(run(state=old))) == (code.value, "why")
        assert (code.value in states.SUCCEEDED) != (code.value in states.HINTS)

    @pytest.mark.parametrize("state", ["SKIPPED", "INTERNAL_ERROR"])
    def test_none(self, state: str) -> None:
        """A run that never ran has no result, and ends as its state."""
        assert states.code(run(state={"life_cycle_state": state})) == state
        assert state in states.HINTS

    def test_unknown(self) -> None:
        """A code that the SDK does not know is a failure, by the older field."""
        details = {"code": "CLUSTER_TERMINATED_BY_USER"}
        found = run(
            status={"state": "TERMINATED", "termination_details": details},
            state={"life_cycle_state": "TERMINATED", "result_state": "FAILED"},
        )
        assert states.code(found) == "FAILED"
        assert states.code(run(status={"state": "TERMINATED"})) not in states.SUCCEEDED

    def test_none_left(self) -> None:
        """The hints have no code that the SDK does not have."""
        known = {each.value for each in itertools.chain(TerminationCodeCode, RunResultState, OLD)}
        assert states.HINTS.keys() | set(states.SUCCEEDED) <= known
        assert all(len(hint) <= MAX_MESSAGE for hint in states.HINTS.values())


class TestProgress:
    """A run tells how far it is."""

    def test_tasks(self) -> None:
        """By its tasks, if it has several."""
        ended, runs = {"status": {"state": "TERMINATED"}}, {"status": {"state": "RUNNING"}}
        tasks = [{"task_key": "a", **ended}, {"task_key": "b", **runs}]
        found = run(status={"state": "RUNNING"}, tasks=tasks)  # type: ignore[arg-type]
        assert states.progress(found) == (0.5, "runs, 1 of 2 tasks done: https://w/7")

    @pytest.mark.parametrize("code", QueueDetailsCodeCode, ids=lambda code: code.value)
    def test_queue(self, code: Enum) -> None:
        """While it is queued, it says why."""
        found = run(status={"state": "QUEUED", "queue_details": {"code": code.value}})
        assert states.progress(found) == (0, f"is queued ({code.value}): https://w/7")
