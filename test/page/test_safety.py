"""What others wrote does no harm, and tokens stay where they belong."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import browser
import page_models
import pytest
import server_process
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from browser import Tab
    from playwright.sync_api import Browser, Page
    from server_process import Server

TOKEN, FEW = "a-token-for-all-models", "a-token-for-few-models"
MARKUP = "</pre><script>document.title='harm'</script><img src=x onerror=document.title='harm'>"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a token for all models, and one for some."""
    path: Path = tmp_path_factory.mktemp("tokens") / "tokens.yaml"
    path.write_text(f"all: {{token: {TOKEN}}}\nfew: {{token: {FEW}, models: [upper, ab]}}\n")
    with server_process.running(models=page_models.MODELS, tokens=str(path)) as one:
        yield one


@pytest.fixture
def locked(window: Page, guarded: Server) -> Iterator[Tab]:
    """The page, which asks for a token."""
    with browser.visit(window, guarded.port) as opened:
        opened.page.goto(f"{opened.origin}/#/upper")
        expect(opened["#token"]).to_be_focused()
        expect(opened["#work"]).to_be_hidden()
        yield opened


def enter(tab: Tab, token: str) -> None:
    """Enter a token by the keyboard."""
    tab["#token"].fill(token)
    tab["#token"].press("Enter")


class TestHeaders:
    """What the server says about the page's files."""

    @pytest.mark.parametrize("path", ["/", "/page/page.js", "/page/page.css", "/page/icon.svg"])
    def test_policy(self, server: Server, path: str) -> None:
        """The policy allows the server's own files, and pictures that the page itself has made."""
        response = server.send(path)
        assert response.status == 200
        policy = dict(
            part.split(" ", 1) for part in response.headers["content-security-policy"].split("; ")
        )
        for name in ("default-src", "base-uri", "form-action", "frame-ancestors"):
            assert policy[name] == "'none'"
        for name in ("script-src", "style-src", "connect-src"):
            assert policy[name] == "'self'"
        assert policy["img-src"] == "'self' blob:"  # pictures of results
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"

    @pytest.mark.parametrize(
        "path", ["/page/", "/page/index.html", "/page/../http_page.py", "/page/%2e%2e/http_page.py"]
    )
    def test_other_files(self, server: Server, path: str) -> None:
        """Only the page's files are served."""
        assert server.send(path).status == 404

    def test_method(self, server: Server) -> None:
        """The page is only read."""
        assert server.send("/", {}).status == 405
        head = server.send("/", method="HEAD")
        assert (head.status, head.body) == (200, b"")

    def test_policy_holds(self, chromium: Browser, server: Server) -> None:
        """The browser runs no script that a page writes into itself, nor asks other hosts."""
        opened = browser.Tab(chromium.new_page(), server.port).open()
        assert opened.run("fetch('https://example.com').then(() => 'sent', () => 'refused')") == (
            "refused"
        )
        harm = "try { document.body.innerHTML = '<b>x</b>' } catch (error) { error.name }"
        assert opened.run(harm) == "TypeError"
        assert opened.mistakes
        opened.page.close()


class TestHostile:
    """Outputs of all kinds are text."""

    @pytest.mark.parametrize(
        "output",
        [
            MARKUP,
            {MARKUP: [MARKUP, None]},
            {"__proto__": {"output": 1}, "constructor": 1},
            "\u202eright to left\u2066 עדה",
            "x" * 300_000,
            [[[[[[[[[]]]]]]]]],
        ],
        ids=["markup", "keys", "prototype", "direction", "long", "nested"],
    )
    def test_output(self, tab: Tab, output: object) -> None:
        """An output is shown as it is, up to a length, and runs nothing."""
        tab.open("/echo").ask(json.dumps(output))
        shown = tab["#result pre"].text_content() or ""
        written = json.dumps(output, indent=2, ensure_ascii=False)
        assert "".join(shown.split()) == "".join(written[:200_000].split())
        expect(tab["#result :is(script, img)"]).to_have_count(0)
        assert "harm" not in tab.page.title()
        assert tab.run("document.documentElement.scrollWidth <= innerWidth")
        assert tab["#send"].bounding_box() == tab.open("/echo")["#send"].bounding_box()

    def test_label(self, tab: Tab) -> None:
        """An entity's label is text, too."""
        tab.open("/entities").ask("a & b")
        expect(tab["mark"]).to_contain_text("<script>document.title='hacked'</script>")
        expect(tab["#result script"]).to_have_count(0)

    def test_right_to_left(self, tab: Tab) -> None:
        """Text is shown in its own direction, the page in the page's."""
        tab.open("/entities").ask("עדה הלכה")
        style = "getComputedStyle(document.querySelector('{}')).direction"
        assert tab.run(style.format("#result .text")) == "rtl"
        assert tab.run(style.format("#result")) == "ltr"

    def test_address(self, tab: Tab) -> None:
        """The address, which anybody can write, is text."""
        tab.open("/<img src=x onerror=alert(1)>")
        expect(tab["#trouble"]).to_contain_text("No such model")
        expect(tab["#trouble img"]).to_have_count(0)


class TestTokens:
    """A server with tokens."""

    def test_command(self, locked: Tab) -> None:
        """With a token models answer; the command names a variable in its place."""
        enter(locked, TOKEN)
        assert locked.ask("abc").output == '"ABC"'
        command = locked["#curl"].text_content() or ""
        assert '-H "Authorization: Bearer $TOKEN"' in command
        ended = subprocess.run(
            ["sh", "-c", command],
            env={**os.environ, "TOKEN": TOKEN, "NO_PROXY": "127.0.0.1"},
            capture_output=True,
            check=True,
            timeout=60,
        )
        assert json.loads(ended.stdout)["outputs"] == ["ABC"]

    def test_secret(self, locked: Tab) -> None:
        """The token is nowhere but in memory and in the header of requests."""
        enter(locked, TOKEN)
        locked.ask("abc")
        kept = "[document.documentElement.outerHTML, location.href, document.cookie, "
        kept += "JSON.stringify({...localStorage}), JSON.stringify({...sessionStorage})].join()"
        assert TOKEN not in locked.run(kept)
        assert not any(TOKEN in each.url + (each.post_data or "") for each in locked.requests)
        locked.page.reload()
        expect(locked["#token"]).to_be_visible()
        expect(locked["#token"]).to_have_value("")

    def test_wrong(self, locked: Tab) -> None:
        """A wrong token is refused with the server's problem, and another one may follow."""
        enter(locked, "wrong")
        expect(locked["#trouble"]).to_contain_text("Unauthenticated")
        expect(locked["#token"]).to_be_focused()
        enter(locked, "naïve 🎈")
        expect(locked["#trouble"]).to_contain_text("only ASCII")
        enter(locked, TOKEN)
        expect(locked["#work"]).to_be_visible()
        expect(locked["#trouble"]).to_be_hidden()

    def test_models(self, locked: Tab) -> None:
        """Only the models that the token allows are listed, also after another token."""
        enter(locked, TOKEN)
        expect(locked["#count"]).to_have_text("13 models")
        locked["#change-token"].click()
        enter(locked, FEW)
        expect(locked["#count"]).to_have_text("2 models")
        locked["#model"].click()
        expect(locked["#models .name"]).to_have_text(["upper", "ab"])
