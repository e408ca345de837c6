"""The command that the page shows does what the page does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from browser import run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from browser import Tab

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1)


def copied(tab: Tab) -> str:
    """Copy the command; return what the clipboard has."""
    tab["#copy"].click()
    tab.page.wait_for_function("document.querySelector('#live').textContent === 'Copied'")
    command: str = tab.run("navigator.clipboard.readText()")
    return command


@pytest.mark.parametrize(
    "text",
    [
        'it\'s "quoted" `id` $(id) $HOME \\ \\n !! % @file',
        "two\nlines\tand\n\n",
        "é 日本 🎈 עדה",
        "\u202eevil\u2066 \u200b \x7f\x9b31m",
        "'" * 9,
    ],
)
def test_text(tab: Tab, text: str) -> None:
    """A text with quotes, line breaks or any characters arrives as it was typed."""
    tab.open("/same")
    tab["#input"].fill(text)
    command = copied(tab)
    assert run(command)["outputs"] == [text]
    assert not set(command) & set("\u202e\u2066\u200b\x7f\x9b")


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(text=TEXTS)
def test_any_text(tab: Tab, text: str) -> None:
    """Whatever the field holds arrives, and gets the answer that the page shows."""
    if not tab.requests:
        tab.open("/same")
    tab["#input"].fill(text)
    typed = tab["#input"].input_value()
    assert run(tab["#curl"].text_content() or "")["outputs"] == [typed]


@pytest.mark.parametrize(
    ("path", "text", "output"),
    [
        ("/echo", '{"a": [1,\n "it\'s"], "b": 12345678901234567890}', None),
        ("/fares/2/a%20b%2F%C3%A9", "x", "X"),
        ("/v2/models/page/infer", '{"x": 1, "name": "\'"}', None),
        ("/v2/models/versions/versions/2/infer", "'", "'!"),
    ],
)
def test_models(tab: Tab, path: str, text: str, output: str | None) -> None:
    """The command works for each kind of model, and is what the page sends."""
    tab.open(path).ask(text)
    (sent,) = (each for each in tab.requests if each.method == "POST")
    command = copied(tab)
    assert sent.post_data
    assert sent.post_data.replace("'", "'\\''") in command
    answer = run(command)
    if path == "/echo":
        assert answer["outputs"] == [json.loads(text)]
    elif output:
        assert output in str(answer["outputs"])


def test_variant(tab: Tab) -> None:
    """The key and the variant of an A/B test are part of the command."""
    tab.open("/ab")
    tab["#key"].fill("it's me")
    tab["#variant"].select_option("two")
    answer = run(copied(tab))
    assert (answer["outputs"], answer["variant_forced"]) == (["A!"], True)


def test_without_clipboard(tab: Tab) -> None:
    """Without the clipboard's interface, which needs HTTPS, the button copies all the same."""
    tab.open("/same")
    tab["#input"].fill("abc")
    read = "navigator.clipboard.readText()"
    tab.run("navigator.clipboard.writeText = undefined")
    tab["#copy"].click()
    tab.page.wait_for_function("document.querySelector('#live').textContent === 'Copied'")
    assert run(tab.run(read))["outputs"] == ["abc"]
