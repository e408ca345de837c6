"""What jobs write does no harm, tokens hold for tasks, and the page is for everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import browser
import pytest
import server_process
from axe_playwright_python.sync_playwright import Axe
from page_jobs import JOBS, MARKUP
from playwright.sync_api import expect
from served_tasks import send, submit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from browser import Tab
    from playwright.sync_api import Browser
    from server_process import Server

ALL, FEW = "a-token-for-all-jobs", "a-token-for-few-jobs"
WIDER = """[...document.querySelectorAll("body *")].filter((each) =>
    each.getBoundingClientRect().right > 320 && each.checkVisibility()
).map((each) => each.outerHTML)"""


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """The file that a job waits for; it is there in the end."""
    yield tmp_path / "file"
    (tmp_path / "file").touch()


def test_markup(chromium: Browser, worker: Server, file: Path) -> None:
    """Phrases, names, errors and descriptions are text, and a picture runs no script."""
    run = submit(worker, "odd", {"file": str(file)})
    with browser.tab(chromium, worker.port) as tab:
        tab.open(f"/v1/tasks/{run}")
        picture = tab["#figure img"]
        expect(picture).to_have_attribute("alt", MARKUP)
        expect(tab["#phrase"]).to_have_text(MARKUP)
        assert tab.run("document.querySelector('#figure img').naturalWidth") > 0
        file.touch()
        expect(tab["#failure"]).to_contain_text(f"ValueError: {MARKUP}")
        expect(tab["#failure .hint"]).to_contain_text(MARKUP)
        expect(tab["#json pre"]).to_contain_text("<script>")
        expect(tab["#tasks :is(script, svg)"]).to_have_count(0)
        expect(tab["#tasks img"]).to_have_count(1)
        assert not [each for each in tab.requests if each.url.endswith("/metrics")]
        assert "harm" not in tab.page.title()
        tab.run(f"location.href = {picture.get_attribute('src')!r}")  # as if opened by hand
        tab.page.wait_for_selector("rect")
        assert "harm" not in tab.page.title()
        assert tab.mistakes  # the policy has refused the script
        tab.mistakes.clear()


def test_tokens(chromium: Browser, tmp_path: Path) -> None:
    """A link to a run needs a token that allows its job; the token stays in memory."""
    tokens = tmp_path / "tokens.yaml"
    tokens.write_text(f"all: {{token: {ALL}}}\nfew: {{token: {FEW}, jobs: [wait]}}\n")
    options = {"models": None, "processes": 1, "store": f"sqlite:///{tmp_path}/store.db"}
    with server_process.running(
        **options, tasks={"jobs": JOBS}, tokens=str(tokens), run_tasks=False
    ) as one:
        runs = [
            send(one, f"/{job}", body, token=ALL).json["id"]
            for job, body in [("wait", {"file": "x"}), ("fail", {})]
        ]
        with browser.tab(chromium, one.port) as tab:
            tab.page.goto(f"{tab.origin}/#/v1/tasks/{runs[0]}")
            enter(tab, FEW)
            expect(tab["#state"]).to_have_text("waiting")
            expect(tab["#runs li"]).to_have_count(1)
            assert '-H "Authorization: Bearer $TOKEN"' in (tab["#task-curl"].text_content() or "")
            tab.run(f"location.hash = '/v1/tasks/{runs[1]}'")
            expect(tab["#run-problem"]).to_contain_text("UnknownRun")
            expect(tab["#about"]).to_be_hidden()
            tab["#change-token"].click()
            enter(tab, ALL)
            expect(tab["#run-title"]).to_have_text("fail")
            expect(tab["#runs li"]).to_have_count(2)
            tab["#stop"].click()
            expect(tab["#state"]).to_have_text("cancelled")
            kept = "[document.documentElement.outerHTML, location.href, document.cookie, "
            kept += "JSON.stringify({...localStorage}), JSON.stringify({...sessionStorage})].join()"
            assert ALL not in tab.run(kept)
            tokens.write_text(f"new: {{token: {FEW}}}\n")
            tab["#again"].click()
            expect(tab["#token"]).to_be_visible()


def enter(tab: Tab, token: str) -> None:
    """Enter a token."""
    tab["#token"].fill(token)
    tab["#token"].press("Enter")


def test_axe(chromium: Browser, worker: Server, file: Path) -> None:
    """The checker axe finds nothing wrong with forms and runs: contrast, labels, roles."""
    states = pages(worker, file)
    for scheme, some in [("light", states), ("dark", states[-2:])]:
        with browser.tab(chromium, worker.port, color_scheme=scheme) as tab:
            for path, ready in some:
                tab.open(path)
                expect(tab[ready].first).to_be_visible()
                expect(tab["#runs li"].first).to_be_visible()
                found = Axe().run(tab.page)
                assert not found.violations_count, found.generate_report()


def test_narrow(chromium: Browser, worker: Server, file: Path) -> None:
    """At a width of 320 pixels nothing is cut off or makes the page scroll sideways."""
    with browser.tab(chromium, worker.port, viewport={"width": 320, "height": 640}) as tab:
        for path, ready in pages(worker, file):
            tab.open(path)
            expect(tab[ready].first).to_be_visible()
            expect(tab["#runs li"].first).to_be_visible()
            assert tab.run("document.documentElement.scrollWidth") == 320
            assert tab.run(WIDER) == []


def pages(server: Server, file: Path) -> list[tuple[str, str]]:
    """Return the address of each kind of page, and what it shows when it is ready."""
    failed, running = submit(server, "fail", {}), submit(server, "odd", {"file": str(file)})
    return [
        ("/v1/tasks/form", "#parameters input"),
        ("/v1/tasks/fail", "#parameters textarea"),
        ("/v1/tasks/shelf-layout", "#parameters tr input"),
        (f"/v1/tasks/{failed}", "#failure"),
        (f"/v1/tasks/{running}", "#figure img"),
    ]


def test_read_aloud(chromium: Browser, worker: Server, file: Path) -> None:
    """Landmarks, the progress bar, the picture and the buttons have names."""
    run = submit(worker, "paint", {"file": str(file)})
    (file.parent / "file-2").touch()
    with browser.tab(chromium, worker.port) as tab:
        tab.open(f"/v1/tasks/{run}")
        expect(tab["#figure img"]).to_be_visible()
        tree = tab["body"].aria_snapshot()
        for line in (
            '- navigation "Pages"',
            '- region "paint"',
            '- progressbar "Progress"',
            '- img "a red wall"',
            '- button "Cancel"',
            '- region "Latest runs"',
            '- region "curl command"',
        ):
            assert line in tree, tree
        expect(tab["#live"]).to_contain_text("paint: running")
        (file.parent / "file-1").touch()
