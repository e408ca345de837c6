"""The page without a mouse."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from browser import Tab


def focused(tab: Tab) -> str:
    """Return the id of the element that has the focus."""
    identifier: str = tab.run("document.activeElement.id")
    return identifier


def test_everything(tab: Tab) -> None:
    """A model is chosen, asked, and its command copied, by keys alone."""
    tab.open()
    press = tab.page.keyboard.press
    while focused(tab) != "model":
        press("Tab")
    press("ArrowDown")
    expect(tab["#models"]).to_be_visible()
    tab.page.keyboard.type("uppe")
    expect(tab["#models [role=option]"]).to_have_count(1)
    press("Enter")
    expect(tab["#model"]).to_have_value("upper")
    expect(tab["#models"]).to_be_hidden()
    expect(tab["#input"]).to_be_focused()
    press("Control+a")
    tab.page.keyboard.type("abc")
    press("Control+Enter")
    assert tab.wait().output == '"ABC"'
    expect(tab["#live"]).to_contain_text("Answer of upper 1")
    while focused(tab) != "copy":
        press("Tab")
    press("Enter")
    expect(tab["#live"]).to_have_text("Copied")


@pytest.mark.parametrize("keys", ["Control+Enter", "Meta+Enter"])
@pytest.mark.parametrize("field", ["#input", "#key", "#model"])
def test_send(tab: Tab, keys: str, field: str) -> None:
    """Ctrl or Cmd with Enter sends from each field."""
    tab.open("/ab")
    tab[field].press(keys)
    tab.wait()
    assert json.loads(tab.output) in {"A", "A!"}


def test_list(tab: Tab) -> None:
    """Arrows move through the list and around its ends; Escape leaves the model as it was."""
    tab.open("/upper")
    field, active = tab["#model"], tab["#models .active"]
    field.press("ArrowDown")
    expect(active).to_contain_text("upper")
    expect(field).to_have_attribute("aria-expanded", "true")
    for key, name in [("ArrowUp", "entities"), ("ArrowUp", "ab:1"), ("ArrowDown", "entities")]:
        field.press(key)
        expect(active).to_contain_text(name)
        expect(field).to_have_attribute(
            "aria-activedescendant", active.get_attribute("id") or "none"
        )
    field.press("Escape")
    expect(field).to_have_value("upper")
    expect(field).to_have_attribute("aria-expanded", "false")


def test_focus_is_visible(tab: Tab) -> None:
    """Each element that the Tab key reaches has an outline."""
    tab.open("/ab").ask("a")
    tab["#openapi"].focus()
    reached = []
    for _ in range(20):
        tab.page.keyboard.press("Tab")
        if tab.run("document.activeElement === document.body"):
            break
        reached.append(focused(tab))
        assert tab.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert {"model", "input", "key", "variant", "send", "copy", "sample"} <= {*reached}
