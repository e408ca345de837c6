"""The form for the parameters of a long task."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import browser
import pytest
from browser import run
from playwright.sync_api import expect

from examples.shelf_layout.parameters import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from browser import Tab
    from playwright.sync_api import Page
    from server_process import Server

FORM, SHELF = "/v1/tasks/form", "/v1/tasks/shelf-layout"


@pytest.fixture
def tab(window: Page, worker: Server) -> Iterator[Tab]:
    """A tab that shows the page of the server with jobs."""
    with browser.visit(window, worker.port) as opened:
        yield opened


def as_json(tab: Tab) -> Any:  # noqa: ANN401 - JSON
    """Return the parameters, which the page shows as JSON."""
    tab.page.get_by_role("button", name="As JSON").click()
    return json.loads(tab["#parameters textarea"].input_value())


def submitted(tab: Tab) -> list[Any]:
    """Return the parameters of the tasks that were submitted."""
    return [json.loads(each.post_data or "") for each in tab.requests if each.method == "POST"]


def test_fields(tab: Tab) -> None:
    """Each kind of field becomes the value that its job wants, with all digits."""
    tab.open(FORM)
    label = tab.page.get_by_label
    label("Words").fill("é 日本 \"'\\")
    label("Number", exact=True).fill("-1.50")
    label("City").fill("Lyon")
    label("Floor").fill("3")
    tab.page.get_by_role("button", name="Add a row").click()
    expect(label("Person 1: Name")).to_be_focused()
    label("Person 1: Name").fill("Ada")
    label("Person 1: Age").fill("36")
    label("Person 1: Is Member").check()
    label("Colour").select_option("green")
    label("Is Quick").uncheck()
    label("Rest").fill('{"a": [12345678901234567890]}')
    tab["#submit"].click()
    expect(tab["#outcome-title"]).to_have_text("Result")
    assert json.loads(tab["#json pre"].inner_text()) == {
        "words": "é 日本 \"'\\",
        "number": -1.5,
        "place": {"city": "Lyon", "floor": 3},
        "people": [{"name": "Ada", "age": 36, "is_member": True}],
        "colour": "green",
        "is_quick": False,
        "limit": None,
        "rest": {"a": [12345678901234567890]},
    }
    (sent,) = (each.post_data or "" for each in tab.requests if each.method == "POST")
    assert '"number": -1.50' in sent
    assert "limit" not in sent


def test_examples(tab: Tab) -> None:
    """The form begins with the schema's first example; others, and none, are a click away."""
    tab.open(SHELF)
    expect(tab.page.get_by_label("Product 2: Name")).to_have_value("Muesli")
    tab.page.get_by_role("button", name="Example 2").click()
    expect(tab.page.get_by_label("Product 32: Name")).to_have_value("Baking powder")
    assert as_json(tab) == EXAMPLES[1]
    tab.page.get_by_role("button", name="Empty").click()
    expect(tab.page.get_by_label("Product 1: Name")).to_have_value("")
    expect(tab.page.get_by_label("Together")).to_have_value("50")
    expect(tab["#task-curl"]).to_have_text("The parameters are not complete.")
    tab["#submit"].click()
    expect(tab.page.get_by_label("Shelf 1: Name")).to_be_focused()
    assert not submitted(tab)


def test_rows(tab: Tab) -> None:
    """A row is removed, the others are counted again, and the focus stays near."""
    tab.open(SHELF)
    tab.page.get_by_role("button", name="Remove Product 2").click()
    expect(tab.page.get_by_role("button", name="Remove Product 2")).to_be_focused()
    expect(tab.page.get_by_label("Product 2: Name")).to_have_value("Honey")
    assert [each["name"] for each in as_json(tab)["products"]] == ["Oat flakes", "Honey", "Jam"]


def test_json(tab: Tab) -> None:
    """The parameters can be edited as JSON, and as a form again if the form can hold them."""
    tab.open(SHELF)
    parameters = as_json(tab)
    area, toggle = tab["#parameters textarea"], tab.page.get_by_role("button", name="As a form")
    area.fill("{")
    toggle.click()
    expect(tab["#parameters .mistake"]).to_contain_text("This is not JSON: ")
    parameters["products"][1]["colour"] = "red"
    area.fill(json.dumps(parameters))
    toggle.click()
    expect(tab["#parameters .mistake"]).to_have_text("The form has no field for products.1.colour.")
    assert json.loads(area.input_value()) == parameters
    del parameters["products"][1]["colour"]
    parameters["products"][1]["name"] = "Granola"
    area.fill(json.dumps(parameters))
    toggle.click()
    expect(tab.page.get_by_label("Product 2: Name")).to_have_value("Granola")
    assert as_json(tab) == parameters


def test_refused(tab: Tab) -> None:
    """Parameters that the server refuses stay; the field that it names is marked and focused."""
    tab.open(SHELF)
    name = tab.page.get_by_label("Product 3: Name")
    name.fill("  ")
    tab["#submit"].click()
    expect(tab["#refusal .problem"]).to_contain_text("products.2.name")
    expect(tab["#refusal .problem"]).to_contain_text("422")
    expect(name).to_be_focused()
    expect(name).to_have_attribute("aria-invalid", "true")
    assert "needs letters" in str(name.evaluate("each => each.validationMessage"))
    expect(tab["#live"]).to_contain_text("a name needs letters")
    name.press_sequentially("x")
    expect(name).not_to_have_attribute("aria-invalid", "true")
    tab["#submit"].click()
    expect(tab["#run"]).to_be_visible()


def test_only_json(tab: Tab) -> None:
    """A job whose parameters are any object has no form but JSON."""
    tab.open("/v1/tasks/fail")
    expect(tab["#parameters textarea"]).to_have_value("{}")
    expect(tab.page.get_by_role("button", name="As a form")).to_be_hidden()


def test_drafts(tab: Tab) -> None:
    """What was filled in for a job is there again after another job, and after a model."""
    tab.open(FORM)
    tab.page.get_by_label("Words").fill("typed")
    tab["#job"].select_option("shelf-layout")
    expect(tab.page.get_by_label("Product 1: Name")).to_be_visible()
    assert tab.page.url.endswith(f"/#{SHELF}")
    tab["#to-models"].click()
    expect(tab["#model"]).to_have_value("upper")
    tab["#to-tasks"].click()
    expect(tab["#job"]).to_have_value(SHELF)
    tab["#job"].select_option("form")
    expect(tab.page.get_by_label("Words")).to_have_value("typed")


def test_command(tab: Tab) -> None:
    """The command submits the same task, whatever is in its parameters."""
    tab.open(FORM)
    label = tab.page.get_by_label
    words = 'it\'s "quoted" $(id) \\n \u202eevil\x7f'
    label("Words").fill(words)
    label("Number", exact=True).fill("1")
    label("City").fill("'")
    command = tab["#task-curl"].text_content() or ""
    assert not set(command) & set("\u202e\x7f")
    accepted = run(command)
    tab.open(f"/v1/tasks/{accepted['id']}")
    expect(tab["#outcome-title"]).to_have_text("Result")
    assert run(tab["#task-curl"].text_content() or "")["words"] == words


def test_keyboard(tab: Tab) -> None:
    """Enter in a field submits nothing; with Ctrl it submits the task."""
    tab.open(SHELF)
    name = tab.page.get_by_label("Product 1: Name")
    name.press("Enter")
    expect(tab["#submission"]).to_be_visible()
    name.press("Control+Enter")
    expect(tab["#run"]).to_be_focused()
    assert re.search(r"#/v1/tasks/[0-9a-f]{32}$", tab.page.url)
