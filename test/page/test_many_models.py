"""The page with hundreds of models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import browser
import pytest
import server_process
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from browser import Tab
    from playwright.sync_api import Page
    from server_process import Server

CITIES = ", ".join(f"[city-{number}]" for number in range(300))
MODELS = f"""
models:
  - {{{{name: city, version: 1, adapter: "served_models:Upper", sample: a, endpoint: cities,
      parameters: [{CITIES}], options: {{{{suffix: " {{{{name}}}}"}}}}}}}}
endpoints:
  cities: [city]
"""


@pytest.fixture(scope="module")
def many() -> Iterator[Server]:
    """A server with 300 models, none of which is loaded before it is asked."""
    with server_process.running(models=MODELS, preload="none") as one:
        yield one


@pytest.fixture
def tab(window: Page, many: Server) -> Iterator[Tab]:
    """A tab that shows the page of this server."""
    with browser.visit(window, many.port) as opened:
        yield opened


def test_filter(tab: Tab) -> None:
    """Each letter narrows the list; a choice is asked."""
    tab.open()
    field, names = tab["#model"], tab["#models .name"]
    expect(tab["#count"]).to_have_text("300 models")
    field.click()
    expect(names).to_have_count(200)
    field.fill("29")
    expect(names).to_have_count(13)
    expect(tab["#count"]).to_have_text("13 of 300 models")
    field.fill("cities 299")
    expect(names).to_have_text(["cities/city-299"])
    names.click()
    expect(field).to_have_value("cities/city-299")
    assert tab.page.url.endswith("/#/cities/city-299")
    assert tab.ask("x").output == '"X city_city-299"'


def test_first_are_listed(tab: Tab) -> None:
    """If too many models fit, the page says how many it lists."""
    tab.open()["#model"].fill("city")
    expect(tab["#count"]).to_have_text("300 of 300 models, the first 200 are listed")


def test_none_fits(tab: Tab) -> None:
    """If no model fits, the page says so, and Enter changes nothing."""
    tab.open("/cities/city-7")
    tab["#model"].fill("zzz")
    expect(tab["#count"]).to_have_text("0 of 300 models")
    expect(tab["#models"]).to_be_hidden()
    tab["#model"].press("Enter")
    tab["#input"].click()
    expect(tab["#model"]).to_have_value("cities/city-7")


def test_link(tab: Tab) -> None:
    """A link leads to a model, and the browser's button back to the last one with its input."""
    tab.open("/cities/city-250")
    expect(tab["#model"]).to_have_value("cities/city-250")
    assert tab.page.title() == "cities/city-250 · Tidemill"
    tab["#input"].fill("typed")
    tab["#model"].fill("city-251")
    tab["#model"].press("Enter")
    expect(tab["#input"]).to_have_value("a")
    tab.page.go_back()
    expect(tab["#model"]).to_have_value("cities/city-250")
    expect(tab["#input"]).to_have_value("typed")
