"""Drive the server's page in a real Chromium."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from playwright.sync_api import expect, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Locator, Page, Request

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # There is no network but the server.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
TIMEOUT_MS = 60_000
BLANK = "about:blank"
# Chromium writes this for each response of an error; a page cannot prevent it.
FAILED_RESPONSE = "Failed to load resource: "


@contextmanager
def started() -> Iterator[Browser]:
    """Run Debian's Chromium without a window."""
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Tab:
    """The page in a tab; it notes the requests, and what goes wrong without being seen."""

    def __init__(self, page: Page, port: int) -> None:
        """Take a new tab, and the server's port."""
        self.page = page
        self.origin = f"http://127.0.0.1:{port}"
        self.requests: list[Request] = []
        self.mistakes: list[str] = []
        page.set_default_timeout(TIMEOUT_MS)
        self._listeners: dict[Any, Callable[[Any], None]] = {
            "request": self._add,
            "console": self._note,
            "pageerror": lambda error: self.mistakes.append(str(error)),
            "dialog": self._dismiss,
        }
        for event, listener in self._listeners.items():
            page.on(event, listener)

    def open(self, path: str = "") -> Tab:
        """Open the page with the path of a model, a job or a run, and wait for its part."""
        if self.page.url != BLANK:
            self.page.goto(BLANK)  # otherwise only the hash would change
        self.page.goto(f"{self.origin}/{path and '#'}{path}")
        expect(self[":is(#work, #tasks):not([hidden])"]).to_be_visible()
        return self

    def __getitem__(self, selector: str) -> Locator:
        return self.page.locator(selector)

    def ask(self, text: str) -> Tab:
        """Send an input; wait for what it leads to."""
        self["#input"].fill(text)
        self["#send"].click()
        return self.wait()

    def wait(self) -> Tab:
        """Wait for an answer or a problem."""
        expect(self["#result :is(dl, .problem)"]).to_be_visible()
        return self

    @property
    def output(self) -> str:
        """The output, as it is shown."""
        return self["#result pre"].inner_text()

    @property
    def facts(self) -> dict[str, str]:
        """What answered."""
        names, values = self["dt"].all_inner_texts(), self["dd"].all_inner_texts()
        return dict(zip(names, values, strict=True))

    def run(self, script: str) -> Any:  # noqa: ANN401 - JSON
        """Run a script in the page; return its value."""
        return self.page.evaluate(script)

    def check(self) -> None:
        """Check that each request went to the server, and that nothing went wrong."""
        # The page itself has made what is at a blob's address.
        addresses = (urlsplit(each.url.removeprefix("blob:")) for each in self.requests)
        origins = {each._replace(path="", query="").geturl() for each in addresses}
        assert origins <= {self.origin}
        assert not self.mistakes

    def leave(self) -> None:
        """Leave nothing to the next one in the same tab: neither listeners nor the page."""
        for event, listener in self._listeners.items():
            self.page.remove_listener(event, listener)
        self.page.goto(BLANK)

    def _add(self, request: Request) -> None:
        self.requests.append(request)

    def _dismiss(self, dialog: Dialog) -> None:
        self.mistakes.append(dialog.message)
        dialog.dismiss()

    def _note(self, message: ConsoleMessage) -> None:
        is_response = message.text.startswith(FAILED_RESPONSE)
        if message.type in {"error", "warning"} and not is_response:
            self.mistakes.append(message.text)


@contextmanager
def window(browser: Browser, **options: Any) -> Iterator[Page]:  # noqa: ANN401 - Playwright's
    """Open a blank page in a context of its own."""
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"], **options)
    try:
        yield context.new_page()
    finally:
        context.close()


@contextmanager
def visit(page: Page, port: int) -> Iterator[Tab]:
    """Use a blank page, and leave it blank; in the end, check what nobody sees.

    A new context would cost as much as all that most tests do.
    """
    opened = Tab(page, port)
    try:
        yield opened
        opened.check()
    finally:
        opened.leave()


@contextmanager
def tab(browser: Browser, port: int, **options: Any) -> Iterator[Tab]:  # noqa: ANN401 - Playwright's
    """Open a tab of its own context; in the end, check what nobody sees."""
    with window(browser, **options) as page, visit(page, port) as opened:
        yield opened


def run(command: str, **variables: str) -> dict[str, Any]:
    """Run a command that the page shows; return what it writes, which is JSON."""
    shell = ["sh", "-c", command]
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", **variables}
    ended = subprocess.run(shell, env=environment, capture_output=True, check=True, timeout=60)
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer
