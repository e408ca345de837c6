"""Start a real server and a real browser."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import browser
import page_jobs
import page_models
import pytest
import server_process
import stored_tables
from pool_processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from browser import Tab
    from playwright.sync_api import Browser, Page
    from server_process import Server


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A browser, without which the tests are skipped, except in CI."""
    if browser.CHROMIUM is None and "CI" not in os.environ:
        pytest.skip("there is no Chromium: install the Debian package chromium")
    assert browser.CHROMIUM, "CI has no Chromium"
    with browser.started() as running:
        yield running


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that all tests share. The page has nothing to do with its tables."""
    store = f"sqlite:///{tmp_path_factory.mktemp('store')}/store.db"
    stored_tables.fill(store)
    with server_process.running(models=page_models.MODELS, store=store, tables=["*"]) as one:
        wait_until(lambda: "/v1/features" in one.send("/openapi.json").json["paths"])
        yield one


@pytest.fixture(scope="session")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a model and of jobs, whose tasks it runs."""
    store = f"sqlite:///{tmp_path_factory.mktemp('tasks')}/store.db"
    tasks = {"jobs": page_jobs.JOBS | page_jobs.SHELF, "slots": 3, "grace": 1}
    with server_process.running(
        models=page_jobs.MODELS, processes=1, store=store, tasks=tasks
    ) as one:
        yield one


@pytest.fixture(autouse=True)
def _release(server: Server) -> Iterator[None]:
    """Let the model `slow` end what a test has left to it."""
    yield
    for text in server.seen:
        (server.folder / text).touch()


@pytest.fixture(scope="session")
def window(chromium: Browser) -> Iterator[Page]:
    """A blank page that tests use one after another."""
    with browser.window(chromium) as page:
        yield page


@pytest.fixture
def tab(window: Page, server: Server) -> Iterator[Tab]:
    """A tab that shows the page of the shared server."""
    with browser.visit(window, server.port) as opened:
        yield opened
