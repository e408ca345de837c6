"""Handle HTTP requests for long tasks."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from starlette.responses import Response

from tidemill.errors import (
    InvalidRequest,
    ModelNotFound,
    ParametersTooLarge,
    UnknownRun,
)
from tidemill.serving import http_body
from tidemill.serving.http_origin import refuse_other_sites
from tidemill.serving.http_responses import json_response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    from starlette.requests import Request

    from tidemill.serving.catalogue import Catalogue
    from tidemill.serving.long_tasks import LongTasks
    from tidemill.serving.parts import Parts
    from tidemill.tasks.runs import Run
    from tidemill.tasks.tasks import Latest, Tasks

    T = TypeVar("T")
    Operation = tuple[str, Callable[[Request], Awaitable[Response]]]  # with its method

PATH: Final = "/v1/tasks"
KEY: Final = "idempotency-key"
FILTERS: Final = {"job", "state", "limit"}  # the parameters of a URL
LIMIT: Final = 20
MAX_LIMIT: Final = 1000
NUMBER: Final = re.compile("[0-9]{1,9}")
# A run changes, so no proxy and no browser may keep it.
HEADERS: Final = {"cache-control": "no-store"}


class TaskHandlers:
    """Handle each kind of request; they raise TidemillError if they cannot.

    A client sees only runs of its jobs.
    """

    def __init__(self, parts: Parts, tasks: LongTasks) -> None:
        """Take what the handlers share."""
        self._parts = parts
        self._tasks = tasks
        # Of a run, by what follows its id in the path.
        self._of_run: dict[str | None, tuple[str, Callable[..., Awaitable[Response]]]] = {
            None: ("GET", self.get),
            "result": ("GET", self.result),
            "latest": ("GET", self.latest),
            "cancel": ("POST", self.cancel),
            "retry": ("POST", self.retry),
        }

    def find(self, catalogue: Catalogue, path: str, request: Request) -> Operation:
        """Return the method and the handler of a path, as it was sent.

        Raises:
            ModelNotFound, UnknownJob: There are none.
            OtherSite, UntrustedHost: It would change something for a page of another web site.

        """
        if request.method == "POST":
            settings = self._parts.settings
            is_private = settings.is_local and settings.tokens is None
            refuse_other_sites(request, is_private=is_private)
        match [unquote(part) for part in path.removeprefix(PATH).split("/")]:
            case [""]:
                return "GET", partial(self.list, catalogue)
            case ["", job] if request.method == "POST" or job in catalogue.jobs:
                return "POST", partial(self.submit, catalogue.job(job))
            case ["", run, *rest] if found := self._of_run.get("/".join(rest) if rest else None):
                verb, handler = found
                return verb, partial(handler, catalogue, run)
        raise ModelNotFound("path", path, [PATH])

    async def submit(self, job: str, request: Request) -> Response:
        """Accept a task."""
        longest = self._tasks.max_parameters
        body = await http_body.read_up_to(longest, request, self._parts.settings.body_timeout)
        if body is None:
            raise ParametersTooLarge(longest)
        key = _key(request)

        def submit(tasks: Tasks) -> Run:
            return tasks.get(tasks.submit(job, body, key))

        run = await self._ask(submit, request)
        return _answer(run, 202, {"location": f"{PATH}/{run.id}"})

    async def get(self, catalogue: Catalogue, run: str, request: Request) -> Response:
        """Answer with a run."""
        with self._parts.one_more():
            return _answer(await self._ask(lambda tasks: _seen(tasks, catalogue, run), request))

    async def list(self, catalogue: Catalogue, request: Request) -> Response:
        """Answer with the latest runs, the newest first."""
        job, state, limit = _filters(request)
        jobs = sorted(catalogue.jobs) if job is None else [catalogue.job(job)]
        with self._parts.one_more():
            runs = await self._ask(lambda tasks: tasks.list(jobs, state, limit), request)
        return json_response({"runs": [run.as_json() for run in runs]}, headers=HEADERS)

    async def result(self, catalogue: Catalogue, run: str, request: Request) -> Response:
        """Answer with the result of a run, as the store has it."""

        def result(tasks: Tasks) -> bytes:
            return bytes(tasks.result(_seen(tasks, catalogue, run).id))

        with self._parts.one_more():
            content = await self._ask(result, request)
        return Response(content, headers=HEADERS, media_type="application/json")

    async def latest(self, catalogue: Catalogue, run: str, request: Request) -> Response:
        """Answer with the result of a run, or until then with the best that its job has."""

        def latest(tasks: Tasks) -> Latest:
            return tasks.latest(_seen(tasks, catalogue, run).id)

        with self._parts.one_more():
            found = await self._ask(latest, request)
        return json_response({"final": found.final, "result": found.result}, headers=HEADERS)

    async def cancel(self, catalogue: Catalogue, run: str, request: Request) -> Response:
        """Cancel a run."""

        def cancel(tasks: Tasks) -> Run:
            return tasks.cancel(_seen(tasks, catalogue, run).id)

        return _answer(await self._ask(cancel, request))

    async def retry(self, catalogue: Catalogue, run: str, request: Request) -> Response:
        """Let a run wait again that failed or was cancelled."""

        def retry(tasks: Tasks) -> Run:
            return tasks.retry(_seen(tasks, catalogue, run).id)

        return _answer(await self._ask(retry, request))

    async def _ask(self, function: Callable[[Tasks], T], request: Request) -> T:
        """Return what a function makes of the tasks, if it does so in time."""
        seconds = http_body.seconds(request)
        return await self._parts.service.within(seconds, self._tasks.ask(function))


def _seen(tasks: Tasks, catalogue: Catalogue, name: str) -> Run:
    """Return a run that a client may see; another one does not exist for it.

    Raises:
        UnknownRun: It does not exist.

    """
    run = tasks.get(name)
    if run.job not in catalogue.jobs:
        raise UnknownRun(name)
    return run


def _answer(run: Run, code: int = 200, headers: dict[str, str] | None = None) -> Response:
    return json_response(run.as_json(), code, HEADERS | (headers or {}))


def _key(request: Request) -> str | None:
    """Return the idempotency key: bare, or in quotes, as the IETF's draft has it.

    Raises:
        InvalidRequest: There are several, so it is not clear which run the client means.

    """
    keys = request.headers.getlist(KEY)
    if len(keys) > 1:
        raise InvalidRequest(
            f"it has {len(keys)} headers Idempotency-Key",
            "Send one key for each task. A proxy may have added a second one.",
        )
    key = keys[0] if keys else None
    if key is not None and len(key) > 1 and key[0] == key[-1] == '"':
        return key[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return key


def _filters(request: Request) -> tuple[str | None, Any, int]:
    """Return the job, the state and the number of runs that a URL asks for.

    Raises:
        InvalidRequest: It has other parameters, or no such number.

    """
    parameters = request.query_params
    if unknown := parameters.keys() - FILTERS:
        raise InvalidRequest(f"there is no parameter {min(unknown)[:50]!r}, but job, state, limit")
    text = parameters.get("limit", str(LIMIT))
    if not (NUMBER.fullmatch(text) and 1 <= int(text) <= MAX_LIMIT):
        raise InvalidRequest(f"`limit` must be a number from 1 to {MAX_LIMIT}")
    return parameters.get("job"), parameters.get("state"), int(text)
