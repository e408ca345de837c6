"""A fake of the APIs that deploy tasks: those of features, and the Jobs API."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import features_api
import jobs_api
from http_api import served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from http_api import Asked


class TasksWorkspace(features_api.FeatureWorkspace):
    """A workspace with tables and jobs."""

    def __init__(self) -> None:
        super().__init__()
        self.other = jobs_api.Workspace()
        for number in range(3):
            self.other.add_job(f"other-{number}")
        self.other.add_job("FILL-SHELVES")


@contextmanager
def serving(workspace: TasksWorkspace) -> Iterator[TasksWorkspace]:
    """Serve a workspace on a free local port."""

    def answer(asked: Asked) -> tuple[int, str, dict[str, str]]:
        if not asked.path.startswith("/api/2.2/jobs"):
            return features_api.respond(workspace, asked)
        given = asked.query if asked.method == "GET" else asked.body
        response = jobs_api.respond(
            workspace.other, asked.method, asked.path, given, asked.authorization
        )
        if asked.method != "GET" and response[0] == 200:
            workspace.writes.append(f"{asked.method} {asked.path}")
        return response

    with served(answer) as workspace.url:
        yield workspace
