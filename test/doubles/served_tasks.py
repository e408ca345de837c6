"""Submit tasks to a server over HTTP, and follow their runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import server_process
from pool_processes import wait_until

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from server_process import Response, Server

JOBS = {
    name: {"job": f"long_jobs:{name}", "attempts": 30}
    for name in ("Count", "Fail", "Improve", "Odd", "Shelf")
}
WAIT_S = 200.0


def running(
    store: str,
    tasks: dict[str, Any] | None = None,
    **options: Any,  # noqa: ANN401 - of `launch`
) -> AbstractContextManager[Server]:
    """Run a server of jobs of `long_jobs`, without models, until the end of the context."""
    settings = {"jobs": JOBS, "slots": 2, "grace": 1} | (tasks or {})
    return server_process.running(models=None, processes=1, store=store, tasks=settings, **options)


def send(
    server: Server,
    path: str = "",
    body: object = None,
    *,
    method: str | None = None,
    key: str | None = None,
    token: str = "",
) -> Response:
    """Send a request for tasks: GET, or POST of a body."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if key is not None:
        headers["Idempotency_Key"] = key
    return server.send(f"/v1/tasks{path}", body, method, **headers)


def submit(server: Server, job: str, parameters: object, key: str | None = None) -> str:
    """Submit a task; return the id of its run."""
    response = send(server, f"/{job}", parameters, key=key)
    assert response.status == 202, response.json
    run: str = response.json["id"]
    return run


def get(server: Server, run: str) -> dict[str, Any]:
    """Return a run."""
    response = send(server, f"/{run}")
    assert response.status == 200, response.json
    found: dict[str, Any] = response.json
    return found


def ended(server: Server, run: str) -> dict[str, Any]:
    """Wait until a run has ended, and return it."""
    wait_until(lambda: get(server, run)["ended"] is not None, WAIT_S)
    return get(server, run)


def problem(response: Response) -> tuple[int, str]:
    """Return the status and the name of a problem."""
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json["status"] == response.status
    assert response.headers["cache-control"] == "no-store"
    return response.status, response.json["title"]
