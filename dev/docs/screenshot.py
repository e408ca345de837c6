"""Take the pictures of the server's page: python -m dev.docs.screenshot, while the server runs.

It asks the shipped model `ner-en`, or with the argument `tasks` the job of `examples/shelf_layout`,
and needs Debian's chromium.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from dev import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Page

TEXT = """\
Ada Lovelace was born in London in 1815. In 1833 she met Charles Babbage, who was building the \
Difference Engine, and in 1842 she translated an article on it by Luigi Menabrea from Turin.

Her notes were three times as long as the article."""
IMAGES = ROOT / "docs" / "images"


def main(part: str = "models", address: str = "http://localhost:8080") -> None:
    """Open the page of a server, ask, and write the picture."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1120, "height": 620}, color_scheme="light")
        if part == "tasks":
            follow_task(page, address)
            page.screenshot(path=IMAGES / "tasks-page.png", full_page=True)
        else:
            ask_model(page, address)
            page.screenshot(path=IMAGES / "serving-page.png", full_page=True)
        browser.close()


def ask_model(page: Page, address: str) -> None:
    """Find the entities in a text."""
    page.goto(f"{address}/#/ner-en")
    page.fill("#input", TEXT)
    page.press("#input", "Control+Enter")
    page.wait_for_selector("mark")
    page.mouse.click(5, 600)  # no focus


def follow_task(page: Page, address: str) -> None:
    """Search for the layout of a bay until it has been improved a few times."""
    page.goto(f"{address}/#/v1/tasks/shelf-layout")
    page.click("text=Example 2")
    page.click("#submit")
    page.wait_for_selector("text=improved 4 times", timeout=180_000)
    page.wait_for_selector("#figure img")


if __name__ == "__main__":
    main(*sys.argv[1:])
