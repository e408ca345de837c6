"""Tests of tokens: who may use which models, and how often."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import server_process
from hypothesis import given
from hypothesis import strategies as st
from pool_processes import wait_until
from server_process import infer_message
from specs import make_spec
from structlog.testing import capture_logs

from tidemill.errors import (
    InvalidTokens,
    RateExceeded,
    SettingsFileUnreadable,
    Unauthenticated,
)
from tidemill.inference.route import all_specs, single_routes
from tidemill.serving.access import Access
from tidemill.serving.catalogue import Catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from server_process import Server

ALL = Catalogue(single_routes([make_spec(name=name) for name in ("upper", "fare-1", "fare-2")]))
SECRET, OTHER = "s3cret-of-the-first", "s3cret-of-the-other"
TOKENS = f"""
all: {{token: {SECRET}}}
fares: {{token: {OTHER}, models: ["fare-*"]}}
"""
LETTERS = st.text(string.ascii_letters + string.digits, min_size=16, max_size=40)


def names(catalogue: Catalogue) -> list[str]:
    """Return the names of models."""
    return [spec.name for spec in all_specs(catalogue.routes)]


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    """Return a file of tokens."""
    path = tmp_path / "tokens.yaml"
    path.write_text(TOKENS)
    return path


class TestTokens:
    """What a token allows."""

    def test_none(self) -> None:
        """Without a file, everybody may use everything."""
        assert Access(ALL).models(None) is ALL

    def test_models(self, tokens: Path) -> None:
        """The bearer of a token may use the models that its patterns match."""
        access = Access(ALL, tokens)
        assert access.models(f"Bearer {SECRET}") is ALL
        assert names(access.models(f"bearer  {OTHER}")) == ["fare-1", "fare-2"]

    @pytest.mark.parametrize(
        ("entry", "allowed"),
        [
            ("", ["users", "user_items"]),
            (', models: ["*"]', []),
            (", models: []", []),
            (', tables: ["*"]', ["users", "user_items"]),
            (', tables: ["user_*", secrets]', ["user_items"]),
            (', models: ["*"], tables: [users]', ["users"]),
        ],
        ids=range(6),
    )
    def test_tables(self, tokens: Path, entry: str, allowed: list[str]) -> None:
        """A token never allows a table that is not served; one with a list, only what it lists."""
        everything = Catalogue(ALL.routes, ["user*"])
        tokens.write_text(f"a: {{token: {SECRET}{entry}}}")
        catalogue = Access(everything, tokens).models(f"Bearer {SECRET}")
        tables = ["users", "user_items", "secrets"]
        assert [name for name in tables if catalogue.has_table(name)] == allowed

    @pytest.mark.parametrize(
        ("entry", "allowed"),
        [
            ("", ["fill", "fit-1"]),
            (', models: ["*"], tables: ["*"]', []),
            (", jobs: []", []),
            (', jobs: ["*"]', ["fill", "fit-1"]),
            (', jobs: ["fit-*", other]', ["fit-1"]),
        ],
        ids=range(5),
    )
    def test_jobs(self, tokens: Path, entry: str, allowed: list[str]) -> None:
        """A token never allows a job that is not served; one with a list, only what it lists."""
        everything = Catalogue(ALL.routes, jobs=["fill", "fit-1"])
        tokens.write_text(f"a: {{token: {SECRET}{entry}}}")
        assert sorted(Access(everything, tokens).models(f"Bearer {SECRET}").jobs) == allowed

    @pytest.mark.parametrize(
        "header",
        [None, "", "Bearer", "Bearer ", f"Basic {SECRET}", SECRET, f"Bearer {SECRET}x", "Bearer é"],
    )
    def test_refused(self, tokens: Path, header: str | None) -> None:
        """Nothing else is a token."""
        with pytest.raises(Unauthenticated):
            Access(ALL, tokens).models(header)

    @given(st.lists(LETTERS, min_size=2, max_size=6, unique=True))
    def test_any(self, tmp_path_factory: pytest.TempPathFactory, secrets: list[str]) -> None:
        """Each token that the file lists is known, and no other."""
        *known, unknown = secrets
        path = tmp_path_factory.mktemp("tokens") / "tokens.yaml"
        path.write_text(
            "".join(f'{index}x: {{token: "{each}"}}\n' for index, each in enumerate(known))
        )
        access = Access(ALL, path)
        for each in known:
            assert access.models(f"Bearer {each}") is ALL
        with pytest.raises(Unauthenticated):
            access.models(f"Bearer {unknown}")

    def test_rate(self, tokens: Path) -> None:
        """Each bearer has its own rate, and learns when it may ask again."""
        tokens.write_text(
            f"a: {{token: {SECRET}, rate: 2/hour}}\nb: {{token: {OTHER}, rate: 9/hour}}"
        )
        access = Access(ALL, tokens)
        for _ in range(2):
            access.models(f"Bearer {SECRET}")
        with pytest.raises(RateExceeded) as caught:
            access.models(f"Bearer {SECRET}")
        assert 3000 < caught.value.retry_after <= 3600
        assert "a may send at most 2 requests per hour" in caught.value.message
        access.models(f"Bearer {OTHER}")

    def test_rate_of_a_period(self, tokens: Path) -> None:
        """The error of a rate for several minutes has them."""
        tokens.write_text(f"a: {{token: {SECRET}, rate: 1/5minutes}}")
        access = Access(ALL, tokens)
        access.models(f"Bearer {SECRET}")
        with pytest.raises(RateExceeded, match="at most 1 request per 5 minutes"):
            access.models(f"Bearer {SECRET}")


class TestFile:
    """The file may be wrong, and may change."""

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "Expected `object`"),
            ("{}", "it lists no token"),
            ("[]", "Expected `object`"),
            (f"a: {SECRET}", "Expected `object`"),
            ("a: {}", "missing required field `token`"),
            ("a: {token: short-s3cret}", "a: .*length >= 16"),
            ("a: {token: 0123456701234567}", "line 1: .* a number needs quotes"),
            ("a: {token: 1234567890123456}", "Expected `str`, got `int`"),
            (f"a: {{token: {SECRET}, modles: []}}", "unknown field `modles`"),
            (f"a: {{token: {SECRET}, rate: often}}", "a: 'often' is not a rate"),
            (f"a: {{token: {SECRET}}}\nb: {{token: {SECRET}}}", "two names have the same token"),
            (f"a: {{token: {SECRET}}}\na: {{token: {OTHER}}}", "line 2: a key occurs twice"),
        ],
        ids=range(12),  # else the file's path would have the tokens
    )
    def test_wrong(self, tokens: Path, text: str, words: str) -> None:
        """What is wrong is named, without any token."""
        tokens.write_text(text)
        with pytest.raises(InvalidTokens, match=words) as caught:
            Access(ALL, tokens)
        for secret in ("s3cret", "01234567", "1234567890"):
            assert secret not in f"{caught.value} {caught.value.hint}"

    def test_names(self, tokens: Path) -> None:
        """An error names the client whose entry is wrong."""
        tokens.write_text(f"a: {{token: {SECRET}}}\nb: {{token: {OTHER}, model: [upper]}}")
        with pytest.raises(InvalidTokens, match=r"yaml: b: .*unknown field `model`"):
            Access(ALL, tokens)

    def test_unknown_models(self, tokens: Path) -> None:
        """A pattern that matches no model is worth a warning."""
        tokens.write_text(f'a: {{token: {SECRET}, models: ["upper*", "fair-*"]}}')
        with capture_logs() as logs:
            Access(ALL, tokens)
        (line,) = logs
        assert (line["log_level"], line["client"], line["models"]) == ("warning", "a", ["fair-*"])

    def test_unknown_job(self, tokens: Path) -> None:
        """So is one that matches no job."""
        tokens.write_text(f'a: {{token: {SECRET}, jobs: ["fil*", fitt]}}')
        with capture_logs() as logs:
            Access(Catalogue((), jobs=["fill"]), tokens)
        (line,) = logs
        assert (line["log_level"], line["client"], line["jobs"]) == ("warning", "a", ["fitt"])

    def test_no_yaml(self, tokens: Path) -> None:
        """Neither does the error of a file that is not YAML quote a token."""
        tokens.write_text(f"a: {{token: {SECRET}")
        with pytest.raises(SettingsFileUnreadable) as caught:
            Access(ALL, tokens)
        assert "s3cret" not in str(caught.value)

    def test_changes(self, tokens: Path) -> None:
        """A changed file counts at once; if it is wrong, the last tokens stay."""
        access = Access(ALL, tokens)
        with capture_logs() as logs:
            tokens.write_text(f"all: {{token: {OTHER}}}")
            assert access.models(f"Bearer {OTHER}") is ALL
            with pytest.raises(Unauthenticated):
                access.models(f"Bearer {SECRET}")
            tokens.write_text(f"all: {{token: {SECRET}")
            assert access.models(f"Bearer {OTHER}") is ALL
            tokens.unlink()
            assert access.models(f"Bearer {OTHER}") is ALL
        assert [line["log_level"] for line in logs] == ["info", "error", "error"]
        assert "s3cret" not in str(logs)

    def test_link(self, tokens: Path, tmp_path: Path) -> None:
        """So does a link that leads to another file, as in Kubernetes."""
        link, second = tmp_path / "link", tmp_path / "second"
        link.symlink_to(tokens)
        access = Access(ALL, link)
        second.write_text(f"only: {{token: {SECRET}y}}")
        (tmp_path / "new").symlink_to(second)
        (tmp_path / "new").replace(link)
        assert access.models(f"Bearer {SECRET}y") is ALL


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server with tokens."""
    path = tmp_path_factory.mktemp("tokens") / "tokens.yaml"
    path.write_text(
        f"all: {{token: {SECRET}}}\n"
        f"sums: {{token: {OTHER}, models: [sum]}}\n"
        f"rare: {{token: {SECRET}-rare, rate: 1/hour}}\n"
    )
    with server_process.running(tokens=str(path)) as one:
        yield one


class TestServer:
    """All doors ask for a token."""

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("/upper", {"inputs": ["a"]}),
            ("/upper/invocations", {"inputs": ["a"]}),
            ("/v2/models/upper/infer", {"inputs": []}),
            ("/v2/models/upper", None),
            ("/v2/models/upper/ready", None),
            ("/v2/repository/index", {}),
            ("/v2", None),
            ("/openapi.json", None),
            ("/none", None),
        ],
    )
    def test_http(self, server: Server, path: str, body: object) -> None:
        """A request without a token gets 401 and learns nothing."""
        for headers in ({}, {"authorization": "Bearer wrong"}):
            response = server.send(path, body, **headers)
            assert (response.status, response.json["title"]) == (401, "Unauthenticated")
            assert response.headers["www-authenticate"] == "Bearer"
        assert server.send(path, body, authorization=f"Bearer {SECRET}").status != 401

    @pytest.mark.parametrize(
        "path", ["/healthz", "/readyz", "/ping", "/metrics", "/", "/page/page.js"]
    )
    def test_probes(self, server: Server, path: str) -> None:
        """Probes need none, nor do the files of the page, which have no data."""
        assert server.send(path).status == 200

    def test_some_models(self, server: Server) -> None:
        """For the bearer of a token, models that it may not use do not exist."""
        sums = {"authorization": f"Bearer {OTHER}"}
        assert server.send("/sum", {"inputs": [[1, 2]]}, **sums).json["outputs"] == [3]
        assert server.send("/upper", {"inputs": ["a"]}, **sums).status == 404
        assert [each["name"] for each in server.send("/v2/repository/index", {}, **sums).json] == [
            "sum"
        ]
        assert [*server.send("/openapi.json", **sums).json["paths"]] == ["/sum"]

    def test_rate(self, server: Server) -> None:
        """A bearer that asks too often gets 429, and the time after which to try again."""
        rare = {"authorization": f"Bearer {SECRET}-rare"}
        assert server.send("/upper", {"inputs": ["a"]}, **rare).status == 200
        response = server.send("/upper", {"inputs": ["a"]}, **rare)
        assert (response.status, response.json["title"]) == (429, "RateExceeded")
        assert 3000 < int(response.headers["retry-after"]) <= 3600

    def test_grpc(self, server: Server) -> None:
        """Calls carry the token in their metadata."""
        infer: Any = server.stub.ModelInfer
        for metadata in ((), (("authorization", "Bearer wrong"),)):
            with pytest.raises(grpc.RpcError) as caught:
                infer(infer_message("upper", "a"), metadata=metadata)
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        token = (("authorization", f"Bearer {SECRET}"),)
        assert infer(infer_message("upper", "a"), metadata=token).outputs

    def test_log(self, server: Server) -> None:
        """No log has a token."""
        wait_until(lambda: server.access_log)
        for name in ("stdout", "stderr"):
            assert "s3cret" not in (server.folder / name).read_text()
