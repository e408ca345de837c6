"""Accept a task: write its run into the database, once for each idempotency key."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from tidemill.errors import (
    InvalidIdempotencyKey,
    InvalidParameters,
    KeyReused,
    ParametersTooLarge,
    TooManyTasks,
)
from tidemill.store.catalogue import insert
from tidemill.tasks.runs import RUNS, WAITING

if TYPE_CHECKING:
    from tidemill.store.database import Database

MAX_KEY: Final = 200  # characters of an idempotency key


def encode(job: str, parameters: bytes | str | dict[str, Any], longest: int) -> str:
    """Return parameters as a text, which may still be no JSON.

    Raises:
        InvalidParameters: JSON or UTF-8 cannot hold them.
        ParametersTooLarge: They have more than `longest` bytes.

    """
    try:
        if not isinstance(parameters, bytes | str):
            parameters = msgspec.json.encode(parameters)
        text = parameters if isinstance(parameters, str) else parameters.decode()
        size = len(text.encode())
    except (ValueError, TypeError) as error:
        raise InvalidParameters(job, error) from None
    if size > longest:
        raise ParametersTooLarge(longest)
    return text


def accept(
    database: Database, job: str, parameters: str, key: str | None, now: int, *, most: int
) -> str:
    """Write a new run; return its id, or that of the run with the same key.

    Raises:
        TooManyTasks: More than `most` of the job would wait.
        InvalidIdempotencyKey: The key is too long, or cannot be printed.
        KeyReused: The run with the same key has other parameters.

    """
    if key is not None and not (key.isprintable() and 0 < len(key) <= MAX_KEY):
        raise InvalidIdempotencyKey(MAX_KEY)
    with database.transaction() as connection:
        new = insert(connection, RUNS).values(
            id=uuid.uuid4().hex,
            job=job,
            key=key,
            parameters=parameters,
            state=WAITING,
            attempt=0,
            forgiven=0,
            beat=0,
            cancelling=False,
            progress=0,
            phrase="",
            submitted=now,
            queued=now,
            announced=False,
        )
        once = new.on_conflict_do_nothing(index_elements=["job", "key"])
        written = connection.execute(once.returning(RUNS.c.id, RUNS.c.number)).first()
        if written is not None:
            _require_room(connection, job, written.number, most)
            run: str = written.id
            return run
        same = RUNS.c.job == job, RUNS.c.key == key
        run, before = connection.execute(sa.select(RUNS.c.id, RUNS.c.parameters).where(*same)).one()
    if msgspec.json.decode(before) != msgspec.json.decode(parameters):
        raise KeyReused(str(key), run)
    return run


def _require_room(connection: sa.Connection, job: str, number: int, most: int) -> None:
    """Require that no more than `most` tasks of a job wait, with the one that was just written.

    They are counted only if their numbers leave room for so many: usually one row is read.

    Raises:
        TooManyTasks: More wait.

    """
    waiting = RUNS.c.state == WAITING, RUNS.c.job == job
    first = sa.select(RUNS.c.number).where(*waiting).order_by(RUNS.c.number).limit(1)
    if number - connection.execute(first).scalar_one() < most:
        return
    if connection.execute(sa.select(sa.func.count()).where(*waiting)).scalar_one() > most:
        raise TooManyTasks(job, most)
