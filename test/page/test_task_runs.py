"""Runs of long tasks: progress, pictures, cancelling, failures, and the list of runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import browser
import pytest
import server_process
from page_jobs import JOBS
from playwright.sync_api import expect
from served_tasks import get, submit

from dev.kafka.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

    from browser import Tab
    from playwright.sync_api import Browser, Page, Route
    from server_process import Server


@pytest.fixture
def tab(window: Page, worker: Server) -> Iterator[Tab]:
    """A tab that shows the page of the server with jobs."""
    with browser.visit(window, worker.port) as opened:
        yield opened


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """The file that a job waits for; it is there in the end."""
    yield tmp_path / "file"
    (tmp_path / "file").touch()


def follow(tab: Tab, server: Server, job: str, parameters: object) -> str:
    """Submit a task, and open its run; return the id."""
    run = submit(server, job, parameters)
    tab.open(f"/v1/tasks/{run}")
    return run


class TestShelf:
    """The example of the shelf."""

    def test_picture(self, tab: Tab, worker: Server) -> None:
        """The best layout is shown while the search goes on, and still after it was cancelled."""
        tab.open("/v1/tasks/shelf-layout")
        tab.page.get_by_role("button", name="Example 2").click()
        tab.page.get_by_label("Seconds").fill("600")
        tab["#submit"].click()
        expect(tab["#outcome-title"]).to_have_text("Best result so far")
        picture = tab["#figure img"]
        expect(picture).to_have_attribute("alt", re.compile("From top to bottom"))
        assert tab.run("document.querySelector('#figure img').naturalWidth") > 0
        expect(tab["#phrase"]).to_contain_text("points, at most")
        tab["#stop"].click()
        expect(tab["#state"]).to_have_text("cancelled")
        expect(picture).to_be_visible()
        expect(tab["#stop"]).to_be_hidden()
        expect(tab["#retry"]).to_be_visible()

    def test_result(self, tab: Tab) -> None:
        """The small example ends with its picture, and with its layout as JSON."""
        tab.open("/v1/tasks/shelf-layout")
        tab.page.get_by_label("Seconds").fill("600")  # it ends long before
        tab["#submit"].click()
        expect(tab["#state"]).to_have_text("succeeded")
        expect(tab["#outcome-title"]).to_have_text("Result")
        expect(tab["#figure img"]).to_have_attribute("alt", re.compile("No layout has more"))
        tab["#json summary"].click()
        result = json.loads(tab["#json pre"].inner_text())
        assert result["layout"]["optimal"]
        with tab.page.expect_download() as saving:
            tab.page.get_by_role("button", name="Save the picture").click()
        assert Path(saving.value.path()).read_text("utf-8") == result["svg"]
        assert saving.value.suggested_filename.startswith("shelf-layout-")


class TestRun:
    """A run is followed until its end."""

    def test_better(self, tab: Tab, worker: Server, file: Path) -> None:
        """Each better picture replaces the last one; a run that has ended is asked no more."""
        follow(tab, worker, "paint", {"file": str(file)})
        picture = tab["#figure img"]
        expect(picture).to_have_attribute("alt", "a red wall")
        expect(tab["#percent"]).to_have_text("25%")
        Path(f"{file}-1").touch()
        expect(picture).to_have_attribute("alt", "a green wall")
        expect(tab["#outcome-title"]).to_have_text("Best result so far")
        Path(f"{file}-2").touch()
        expect(picture).to_have_attribute("alt", "a blue wall")
        expect(tab["#outcome-title"]).to_have_text("Result")
        expect(tab["#percent"]).to_have_text("100%")
        expect(tab["#live"]).to_contain_text("paint: succeeded")
        asked = len(tab.requests)
        for _ in range(2):  # of the list, which is asked for less often than a run
            with tab.page.expect_request(lambda each: each.url.endswith("/v1/tasks")):
                pass
        assert not [each for each in tab.requests[asked:] if "/v1/tasks/" in each.url]
        tab.page.reload()
        expect(picture).to_have_attribute("alt", "a blue wall")
        expect(tab["#outcome-title"]).to_have_text("Result")

    def test_cancel_and_retry(self, tab: Tab, worker: Server, file: Path) -> None:
        """A task is cancelled and run again, by keys alone."""
        follow(tab, worker, "wait", {"file": str(file)})
        expect(tab["#phrase"]).to_have_text("waiting for the file")
        tab["#stop"].press("Enter")
        expect(tab["#state"]).to_have_text("cancelled")
        expect(tab["#run"]).to_be_focused()
        file.touch()
        tab["#retry"].press("Enter")
        expect(tab["#state"]).to_have_text("succeeded")
        expect(tab["#json pre"]).to_have_text('"done"')
        expect(tab["#facts"]).to_contain_text("Attempt")

    def test_failed(self, tab: Tab, worker: Server) -> None:
        """A failure is shown, and read out, with its hint."""
        follow(tab, worker, "fail", {})
        expect(tab["#state"]).to_have_text("failed")
        expect(tab["#failure"]).to_contain_text("ValueError: no shelf is long enough")
        expect(tab["#failure"]).to_contain_text("Lengthen a shelf.")
        expect(tab["#live"]).to_contain_text("Lengthen a shelf.")
        expect(tab["#outcome"]).to_be_hidden()

    def test_unknown(self, tab: Tab) -> None:
        """A link to a run or a job that is not there says so."""
        tab.open(f"/v1/tasks/{'0' * 32}")
        expect(tab["#run-problem"]).to_contain_text("UnknownRun")
        tab.open("/v1/tasks/<img src=x>/../")
        expect(tab["#trouble"]).to_contain_text("No such job or run")
        expect(tab["#job"]).to_be_visible()

    def test_list(self, tab: Tab, worker: Server, file: Path) -> None:
        """The latest runs are links, which keep the focus while their runs go on."""
        run = follow(tab, worker, "wait", {"file": str(file)})
        link = tab[f"#runs a[href$='{run}']"]
        expect(link).to_contain_text("running")
        expect(link).to_contain_text("25%")
        expect(link).to_have_attribute("aria-current", "true")
        other = submit(worker, "fail", {})
        newest = tab["#runs li:first-child a"]
        expect(newest).to_have_attribute("href", f"#/v1/tasks/{other}")
        link.focus()
        file.touch()
        expect(link).to_contain_text("succeeded")
        expect(link).to_be_focused()
        newest.press("Enter")
        expect(tab["#run-title"]).to_have_text("fail")
        expect(tab["#state"]).to_have_text("failed")
        tab.page.go_back()
        expect(tab["#run-title"]).to_have_text("wait")


class TestOnce:
    """A task is submitted once."""

    def test_lost_answer(self, tab: Tab, worker: Server, file: Path) -> None:
        """If the answer is lost, the second click finds the run that the first one began."""
        tab.open("/v1/tasks/wait")
        tab.page.get_by_label("File").fill(str(file))
        accepted: list[str] = []

        def lose(route: Route) -> None:
            response = route.fetch()
            accepted.append(response.json()["id"])
            route.abort()

        tab.page.route("**/v1/tasks/wait", lose, times=1)
        tab["#submit"].click()
        expect(tab["#refusal"]).to_contain_text("no second run begins")
        tab["#submit"].click()
        expect(tab["#run"]).to_be_visible()
        assert tab.page.url.endswith(f"/#/v1/tasks/{accepted[0]}")
        tab.page.go_back()
        tab["#submit"].click()
        expect(tab["#run"]).to_be_visible()
        assert not tab.page.url.endswith(accepted[0])

    def test_two_clicks(self, tab: Tab, worker: Server, file: Path) -> None:
        """Two clicks begin one run."""
        tab.open("/v1/tasks/wait")
        tab.page.get_by_label("File").fill(str(file))
        tab["#submit"].dblclick()
        expect(tab["#run"]).to_be_visible()
        assert len([each for each in tab.requests if each.method == "POST"]) == 1


def test_restart(chromium: Browser, tmp_path: Path, file: Path) -> None:
    """The page waits for a server that is restarted, and follows the run on."""
    (port,) = free_ports(1)
    store = f"sqlite:///{tmp_path}/store.db"
    options = {"models": None, "processes": 1, "store": store, "http_port": port}
    tasks = {"jobs": JOBS, "take_over": 2}
    with (
        server_process.running(**options, tasks=tasks) as one,
        browser.tab(chromium, one.port) as tab,
    ):
        tab.open()  # without a model, the page begins with the jobs
        expect(tab["#job"]).to_be_visible()
        expect(tab["#pages"]).to_be_hidden()
        run = follow(tab, one, "wait", {"file": str(file)})
        expect(tab["#phrase"]).to_have_text("waiting for the file")
        assert one.stop() == 0
        expect(tab["#lost"]).to_be_visible()
        expect(tab["#phrase"]).to_have_text("waiting for the file")
        tab.mistakes.clear()
        with server_process.running(**options, tasks=tasks) as again:
            expect(tab["#lost"]).to_be_hidden()
            file.touch()
            expect(tab["#state"]).to_have_text("succeeded")
            assert get(again, run)["state"] == "succeeded"
