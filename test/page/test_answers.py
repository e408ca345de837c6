"""What the page shows of answers and problems."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from uuid import uuid4

import browser
import pytest
import server_process
from playwright.sync_api import expect

if TYPE_CHECKING:
    from browser import Tab
    from playwright.sync_api import Browser
    from server_process import Server


class TestEntities:
    """A list of entities is shown in the text."""

    def test_marks(self, tab: Tab) -> None:
        """Each entity is marked, its label follows it, and the JSON is at hand."""
        tab.open("/entities").ask("Ada Lovelace met\nBabbage in London.")
        assert tab["mark"].all_inner_texts() == ["Ada Lovelace\xa0PERSON", "London\xa0GPE"]
        text = "Ada Lovelace\xa0PERSON met\nBabbage in London\xa0GPE."
        assert tab["#result .text"].text_content() == text
        expect(tab["#result"]).to_contain_text("1 PERSON, 1 GPE")
        tab["#result summary"].click()
        assert [each["category"] for each in json.loads(tab.output)] == ["PERSON", "GPE"]

    def test_nested(self, tab: Tab) -> None:
        """An entity in another one is a mark in its mark."""
        tab.open("/entities").ask("The University of London")
        assert tab["mark mark"].all_inner_texts() == ["London\xa0GPE"]
        assert tab["mark"].first.text_content() == "University of London\xa0GPE\xa0ORG"

    def test_crossing(self, tab: Tab) -> None:
        """An entity that crosses the end of another one is continued after it."""
        tab.open("/entities").ask("At the University of London in 1836.")
        shown = tab["#result .text"].text_content()
        parts = "London\xa0GPE\xa0EVENT …continues\xa0ORG in 1836\xa0DATE\xa0… continued: EVENT."
        assert shown == f"At the University of {parts}"

    def test_characters(self, tab: Tab) -> None:
        """Offsets count characters, also those that JavaScript counts as two."""
        tab.open("/entities").ask("🎈🎈 עדה 🎈 London")
        texts = [each.replace("\xa0", " ") for each in tab["mark"].all_text_contents()]
        assert texts == ["🎈 TOY", "🎈 TOY", "עדה PERSON", "🎈 TOY", "London GPE"]

    def test_none(self, tab: Tab) -> None:
        """An empty list is shown as it is."""
        assert tab.open("/entities").ask("nobody").output == "[]"

    @pytest.mark.parametrize(
        "entity",
        [
            {"start": 0, "end": 99, "label": "A"},
            {"start": -1, "end": 2, "label": "A"},
            {"start": 2, "end": 1, "label": "A"},
            {"start": 0.5, "end": 1, "label": "A"},
            {"start": 0, "end": 1},
            None,
        ],
    )
    def test_other_lists(self, tab: Tab, entity: object) -> None:
        """A list that is not one of entities in the text is shown as JSON."""
        tab.open("/answers").ask(json.dumps([entity]))
        assert json.loads(tab.output) == [entity]
        expect(tab["mark"]).to_have_count(0)

    @pytest.mark.parametrize("label", ["category", "entity_group", "label", "type", "entity"])
    def test_labels(self, tab: Tab, label: str) -> None:
        """The label is in one of the fields that frameworks use."""
        tab.open("/answers").ask(json.dumps([{"start": 1, "end": 2, label: "KIND"}]))
        assert tab["mark"].all_text_contents() == ["{\xa0KIND"]

    def test_too_deep(self, tab: Tab) -> None:
        """Thousands of entities upon one another are shown as JSON."""
        tab.open("/answers").ask(json.dumps([{"start": 0, "end": 9, "label": "A"}] * 4000))
        assert tab.output.startswith('[\n  {\n    "start": 0,')
        expect(tab["#result"]).to_contain_text(" more characters")


class TestJson:
    """Other outputs are shown as JSON."""

    def test_object(self, tab: Tab) -> None:
        """An object is indented, with the time and what answered."""
        tab.open("/score").ask('{"x": 1, "name": "é"}')
        assert tab.output == '{\n  "p": 0.125,\n  "label": "é"\n}'
        facts = tab.facts
        assert facts.pop("Time").endswith((" ms", " s"))
        assert facts == {"Model": "score", "Version": "1"}

    def test_numbers(self, tab: Tab) -> None:
        """Numbers are sent and shown with all their digits."""
        numbers = "[\n  12345678901234567890,\n  1.50,\n  1e-400\n]"
        assert tab.open("/echo").ask(numbers).output == numbers

    def test_sample(self, tab: Tab) -> None:
        """The input begins with the sample, which the button brings back."""
        sample = '{\n  "distance": 3.5,\n  "tags": [\n    "a"\n  ]\n}'
        tab.open("/echo")
        expect(tab["#input"]).to_have_value(sample)
        tab["#input"].fill("1")
        tab["#sample"].click()
        expect(tab["#input"]).to_have_value(sample)

    @pytest.mark.parametrize("text", ["", "  ", '{"x": ', "{'x': 1}", "1 2", "NaN"])
    def test_mistake(self, tab: Tab, server: Server, text: str) -> None:
        """An input that is not JSON is not sent; the page says why."""
        tab.open("/echo")
        tab["#input"].fill(text)
        tab["#send"].click()
        expect(tab["#mistake"]).to_contain_text("This is not JSON: ")
        expect(tab["#input"]).to_be_focused()
        expect(tab["#copy"]).to_be_hidden()
        assert not [each for each in tab.requests if each.method == "POST"]
        tab["#input"].fill("1")
        expect(tab["#mistake"]).to_be_empty()

    def test_schema(self, tab: Tab) -> None:
        """The schema of the input can be opened."""
        tab.open("/score")
        tab["#schema summary"].click()
        schema = json.loads(tab["#schema pre"].inner_text())
        assert schema["required"] == ["x", "name"]


class TestV2:
    """Models without a path of their own are asked over V2."""

    @pytest.mark.parametrize(("version", "output"), [("1", "ABC"), ("2", "ABC!")])
    def test_text(self, tab: Tab, version: str, output: str) -> None:
        """Each of several models with one name answers."""
        tab.open(f"/v2/models/versions/versions/{version}/infer").ask("abc")
        assert json.loads(tab.output) == output
        assert tab.facts.items() >= {"Model": "versions", "Version": version}.items()
        expect(tab["#model-note"]).to_contain_text("over V2")

    def test_json(self, tab: Tab) -> None:
        """A model whose name is a path of the server's takes JSON; each tensor is a field."""
        tab.open("/v2/models/page/infer").ask('{"x": 1, "name": "3"}')
        assert json.loads(tab.output) == {"p": 0.125, "label": "3"}

    def test_variant(self, tab: Tab) -> None:
        """An A/B test takes a key and a variant over V2, too."""
        tab.open("/v2/models/metrics/infer")
        tab["#variant"].select_option("two")
        tab.ask("x")
        assert tab.facts["Variant"] == "two (forced)"


class TestVariants:
    """A/B tests."""

    def test_key(self, tab: Tab, server: Server) -> None:
        """The same key gets the variant that the server chooses for it."""
        tab.open("/ab")
        for key in ("1", "2", "3", "4"):
            tab["#key"].fill(key)
            tab.ask("x")
            assert tab.facts["Variant"] == server.ask("ab", "x", key=key).json["variant"]

    @pytest.mark.parametrize(("variant", "output"), [("one", '"X"'), ("two", '"X!"')])
    def test_forced(self, tab: Tab, variant: str, output: str) -> None:
        """A variant can be forced, and the answer says so."""
        tab.open("/ab")
        tab["#variant"].select_option(variant)
        assert tab.ask("x").output == output
        assert tab.facts["Variant"] == f"{variant} (forced)"

    def test_others(self, tab: Tab) -> None:
        """Other models have no such fields."""
        expect(tab.open("/upper")["#split"]).to_be_hidden()


class TestProblems:
    """Problems are shown with what to do."""

    def test_hint(self, tab: Tab, server: Server) -> None:
        """Title, status, detail and hint are those of the server."""
        problem = server.ask("upper", "few").json
        tab.open("/upper").ask("few")
        shown = tab["#result .problem"].inner_text()
        assert problem["hint"]
        for part in ("title", "status", "detail", "hint"):
            assert str(problem[part]) in shown

    def test_unreachable(self, chromium: Browser) -> None:
        """A server that has gone is a problem, too; what was typed stays."""
        with server_process.running() as one, browser.tab(chromium, one.port) as opened:
            opened.open("/upper")
            assert one.stop() == 0
            opened.ask("abc")
            expect(opened["#result .problem"]).to_contain_text("No answer")
            expect(opened["#input"]).to_have_value("abc")

    def test_unknown_model(self, tab: Tab) -> None:
        """A link to a model that is not there says so, and shows another one."""
        tab.open("/none")
        expect(tab["#trouble"]).to_contain_text("This server has no /none.")
        expect(tab["#model"]).to_have_value("entities")


class TestSlow:
    """A model that takes long."""

    def test_cancel(self, tab: Tab, server: Server) -> None:
        """The page says that it waits; the button ends that, and the next request is answered."""
        tab.open("/slow")
        tab["#input"].fill(f"wait-{uuid4()}")
        tab["#send"].click()
        expect(tab["#result"]).to_contain_text("Waiting for slow")
        expect(tab["#answer"]).to_have_attribute("aria-busy", "true")
        expect(tab["#result"]).to_contain_text(re.compile(r"[1-9]\d* s"))
        tab["#cancel"].click()
        expect(tab["#result"]).to_contain_text("Cancelled.")
        expect(tab["#send"]).to_be_focused()
        assert tab.ask("now").output == '"now"'

    def test_leave(self, tab: Tab) -> None:
        """Another model's answer does not wait for the first one's."""
        tab.open("/slow")
        tab["#input"].fill(f"wait-{uuid4()}")
        tab["#send"].click()
        expect(tab["#result"]).to_contain_text("Waiting for slow")
        tab.run("location.hash = '/upper'")
        expect(tab["#model"]).to_have_value("upper")
        assert tab.ask("a").output == '"A"'

    def test_name(self, tab: Tab) -> None:
        """A link may also have a name, without the slash of a path."""
        tab.open("/slow")
        tab.run("location.hash = 'upper'")
        expect(tab["#model"]).to_have_value("upper")
        expect(tab["#trouble"]).to_be_hidden()
