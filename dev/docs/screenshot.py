"""Take the picture of the server's page: python -m dev.docs.screenshot, while the server runs.

It asks the shipped model `ner-en`, and needs Debian's chromium.
"""

from __future__ import annotations

import sys

from playwright.sync_api import sync_playwright

from dev import ROOT

TEXT = """\
Ada Lovelace was born in London in 1815. In 1833 she met Charles Babbage, who was building the \
Difference Engine, and in 1842 she translated an article on it by Luigi Menabrea from Turin.

Her notes were three times as long as the article."""
FILE = ROOT / "docs" / "images" / "serving-page.png"


def main(address: str = "http://localhost:8080") -> None:
    """Open the page of a server, ask, and write the picture."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1120, "height": 620}, color_scheme="light")
        page.goto(f"{address}/#/ner-en")
        page.fill("#input", TEXT)
        page.press("#input", "Control+Enter")
        page.wait_for_selector("mark")
        page.mouse.click(5, 600)  # no focus
        page.screenshot(path=FILE, full_page=True)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
