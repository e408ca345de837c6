"""The page for those who do not see it, see it in another way, or on a small screen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import uuid4

import browser
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from browser import Tab
    from playwright.sync_api import Browser, Page
    from server_process import Server

TEXT = "Ada Lovelace, the University of London in 1836 & 🎈 " + "unbroken" * 40


def entities(tab: Tab) -> None:
    """Show marks of all colours, also in marks."""
    tab.open("/entities").ask(TEXT)
    tab["#result summary"].click()


def output(tab: Tab) -> None:
    """Show JSON, a long line, and an A/B test."""
    tab.open("/ab").ask("unbroken" * 40)


def problem(tab: Tab) -> None:
    """Show a problem with a hint."""
    tab.open("/upper").ask("few")


def mistake(tab: Tab) -> None:
    """Show an input that is not JSON, and a schema."""
    tab.open("/score")
    tab["#schema summary"].click()
    tab["#input"].fill("{")
    tab["#send"].click()
    expect(tab["#mistake"]).to_be_visible()


def models(tab: Tab) -> None:
    """Show the list of models."""
    tab.open("/upper")
    tab["#model"].click()
    expect(tab["#models"]).to_be_visible()


def waiting(tab: Tab) -> None:
    """Show a model that takes long."""
    tab.open("/slow")
    tab["#input"].fill(f"wait-{uuid4()}")
    tab["#send"].click()
    expect(tab["#cancel"]).to_be_visible()


STATES = [entities, output, problem, mistake, models, waiting]


@pytest.fixture(scope="module", params=["light", "dark"])
def coloured(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page for those who want light or dark colours."""
    with browser.window(chromium, color_scheme=request.param) as page:
        yield page


@pytest.fixture(scope="module")
def narrow(chromium: Browser) -> Iterator[Page]:
    """A page on a small screen."""
    with browser.window(chromium, viewport={"width": 320, "height": 640}) as page:
        yield page


@pytest.mark.parametrize("state", STATES)
def test_axe(coloured: Page, server: Server, state: Callable[[Tab], None]) -> None:
    """The checker axe finds nothing wrong: contrast, labels, landmarks, roles."""
    with browser.visit(coloured, server.port) as tab:
        state(tab)
        found = Axe().run(tab.page)
        assert not found.violations_count, found.generate_report()


@pytest.mark.parametrize("state", STATES)
def test_narrow(narrow: Page, server: Server, state: Callable[[Tab], None]) -> None:
    """At a width of 320 pixels nothing is cut off or makes the page scroll sideways."""
    with browser.visit(narrow, server.port) as tab:
        state(tab)
        assert tab.run("document.documentElement.scrollWidth") == 320
        wider = """[...document.querySelectorAll("body *")].filter((each) =>
            each.getBoundingClientRect().right > 320 && each.checkVisibility()
        ).map((each) => each.outerHTML)"""
        assert tab.run(wider) == []


def test_answer_in_view(chromium: Browser, server: Server) -> None:
    """On a small screen the answer comes into view."""
    with browser.tab(chromium, server.port, viewport={"width": 320, "height": 500}) as tab:
        output(tab)
        expect(tab["#answer-title"]).to_be_in_viewport()


def test_reduced_motion(chromium: Browser, server: Server) -> None:
    """Nothing moves for those who want less motion."""
    for wish, animation in [("reduce", "none"), ("no-preference", "turn")]:
        with browser.tab(chromium, server.port, reduced_motion=wish) as tab:
            waiting(tab)
            style = "getComputedStyle(document.querySelector('.waiting'), '::before')"
            assert tab.run(f"{style}.animationName") == animation


def test_read_aloud(tab: Tab) -> None:
    """Landmarks and fields have names, and a mark is read with its label after it."""
    tab.open("/entities").ask("Ada Lovelace in London")
    tree = tab["body"].aria_snapshot()
    for line in (
        "- banner",
        "- main",
        '- form "Request"',
        '- combobox "Model"',
        '- textbox "Text"',
        '- region "Answer"',
        '- region "curl command"',
        "Ada Lovelace\xa0PERSON",
    ):
        assert line.replace("\xa0", " ") in tree.replace("\xa0", " "), tree
    expect(tab["#live"]).to_have_text(re.compile(r"^Answer of entities 1 in .*: 1 PERSON, 1 GPE$"))
