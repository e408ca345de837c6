"""Tests of look-ups in the store's tables, over HTTP and gRPC."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import grpc
import jsonschema_rs
import pytest
import server_process
from pool_processes import wait_until
from stored_tables import ADA, AT, HOSTILE, fill

from tidemill.client import Client
from tidemill.errors import RequestRefused
from tidemill.protocol import open_inference_grpc_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from server_process import Response, Server

TIME = "2026-11-18T11:06:40.000Z"
NO_MODELS = """
models: [{{name: upper, version: 1, adapter: "served_models:Upper", sample: a, payload: text}}]
"""
EVERYTHING, PART, OLD = "s3cret-for-everything", "s3cret-for-a-part", "s3cret-with-models"
TOKENS = f"""
everything: {{token: {EVERYTHING}}}
part: {{token: {PART}, tables: ["s*", items]}}
old: {{token: {OLD}, models: ["*"]}}
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a store with tables."""
    url = f"sqlite:///{tmp_path_factory.mktemp('store')}/store.db"
    fill(url)
    return url


@pytest.fixture(scope="module")
def server(store: str) -> Iterator[Server]:
    """A server of all tables."""
    with server_process.running(
        models=NO_MODELS, processes=1, store=store, tables=["*"], max_body="1MB"
    ) as one:
        wait_until(lambda: len(tables(one)) == 3)
        yield one


@pytest.fixture(scope="module")
def guarded(store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of two tables, with tokens."""
    path = tmp_path_factory.mktemp("tokens") / "tokens.yaml"
    path.write_text(TOKENS)
    options: dict[str, Any] = {"tables": ["customers", "sales"], "tokens": str(path)}
    with server_process.running(models=NO_MODELS, processes=1, store=store, **options) as one:
        wait_until(lambda: len(tables(one, EVERYTHING)) == 2)
        yield one


def tables(server: Server, token: str = "") -> list[dict[str, Any]]:
    """Return the tables that a server lists."""
    listed: list[dict[str, Any]] = send(server, "", token=token).json["tables"]
    return listed


def send(server: Server, path: str, body: object = None, token: str = "") -> Response:
    """Ask for rows."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return server.send(f"/v1/features{path}", body, **headers)


def problem(response: Response) -> tuple[int, str, str]:
    """Return the status, the name and the detail of a problem."""
    assert response.headers["content-type"] == "application/problem+json"
    return response.status, response.json["title"], response.json["detail"]


class TestOne:
    """GET answers with the row of one key."""

    def test_row(self, server: Server) -> None:
        """The answer has the values, their time and version, and the generation."""
        response = send(server, "/customers/ada")
        assert response.status == 200
        assert response.json == {
            "table": "customers",
            "key": "ada",
            "generation": 1,
            "values": ADA,
            "time": TIME,
            "version": "2026-11",
        }

    def test_passed_on(self, server: Server) -> None:
        """The JSON of the values is that of the store, byte for byte."""
        expected = json.dumps(ADA, separators=(",", ":"), ensure_ascii=False).encode()
        assert expected in send(server, "/customers/ada").body

    @pytest.mark.parametrize(
        ("path", "key"),
        [("/items/7", 7), ("/items/007", 7), ("/sales/FR/-7", ["FR", -7])],
    )
    def test_key_types(self, server: Server, path: str, key: Any) -> None:  # noqa: ANN401
        """Integers, and keys of several columns, are parts of the path."""
        assert send(server, path).json["key"] == key

    @pytest.mark.parametrize("key", HOSTILE)
    def test_hostile(self, server: Server, key: str) -> None:
        """SQL, slashes and odd characters in a key are the key."""
        response = send(server, f"/customers/{quote(key, safe='')}")
        assert (response.status, response.json["key"]) == (200, key)

    def test_miss(self, server: Server) -> None:
        """A key without a row gets 404, with the key and a hint."""
        response = send(server, "/customers/eve")
        assert problem(response) == (
            404,
            "KeyNotFound",
            "the table 'customers' has no row for the key 'eve'",
        )
        assert "POST /v1/features/customers" in response.json["hint"]

    @pytest.mark.parametrize(
        ("path", "words"),
        [
            ("/items/x", "'x'"),
            ("/items/1.0", "'1.0'"),
            ("/items/", "''"),
            ("/items/9223372036854775808", "9223372036854775808"),
            (f"/items/{'9' * 4000}", "9999"),
            ("/sales/FR", "country/item"),
            ("/sales/FR/7/8", "country/item"),
            ("/customers/a/b", "%2F"),
            ("/customers/%FF", "UTF-8"),
            ("/customers/%00", "NUL"),
            ("/items/7%20OR%201=1", "'7 OR 1=1'"),
        ],
    )
    def test_wrong_key(self, server: Server, path: str, words: str) -> None:
        """A key of another type gets 422, which names it."""
        status, title, detail = problem(send(server, path))
        assert (status, title) == (422, "InvalidKey")
        assert words in detail

    @pytest.mark.parametrize(
        "name", ["nope", "'; DROP TABLE customers", "customers__g1", "x" * 999]
    )
    def test_no_table(self, server: Server, name: str) -> None:
        """A table that there is not gets 404."""
        assert problem(send(server, f"/{quote(name)}/a"))[:2] == (404, "TableNotFound")

    def test_columns(self, server: Server) -> None:
        """A request may select columns, in its order."""
        response = send(server, "/customers/ada?columns=city,age")
        assert [*response.json["values"].items()] == [("city", "Zürich"), ("age", 36)]
        status, title, detail = problem(send(server, "/customers/ada?columns=city,size"))
        assert (status, title) == (400, "InvalidRequest")
        assert "'size', but age, score" in detail
        assert problem(send(server, "/customers/ada?column=city"))[:2] == (400, "InvalidRequest")

    def test_methods(self, server: Server) -> None:
        """HEAD works as GET; other methods are refused."""
        head = server.send("/v1/features/items/7", method="HEAD")
        assert (head.status, head.body) == (200, b"")
        assert problem(server.send("/v1/features/items/7", {}))[:2] == (405, "MethodNotAllowed")
        assert problem(send(server, "/items"))[:2] == (405, "MethodNotAllowed")

    def test_not_logged(self, server: Server) -> None:
        """The access log has the table, but never the key."""
        send(server, "/customers/somebody%40example.com")
        wait_until(lambda: "/v1/features/customers/*" in str(server.access_log))
        assert "somebody" not in str(server.access_log)


class TestMany:
    """POST answers with the rows of several keys."""

    def test_rows(self, server: Server) -> None:
        """Rows come in the order of the keys, with null for a miss, all of one generation."""
        wanted = {"keys": [999, -1, 7, 7], "columns": ["price"]}
        response = send(server, "/items", wanted)
        assert response.status == 200
        assert (response.json["table"], response.json["generation"]) == ("items", 1)
        rows = response.json["rows"]
        assert [row and row["values"] for row in rows] == [
            {"price": 499.5},
            None,
            {"price": 3.5},
            {"price": 3.5},
        ]

    def test_composite(self, server: Server) -> None:
        """A key of several columns is an array."""
        keys = [["FR", -7], ["FR", 7]]
        rows = send(server, "/sales", {"keys": keys}).json["rows"]
        assert rows == [{"values": {"count": 3}, "time": TIME, "version": None}, None]

    @pytest.mark.parametrize("count", [0, 1, 1000])
    def test_number(self, server: Server, count: int) -> None:
        """Up to 1,000 keys are answered."""
        assert len(send(server, "/items", {"keys": [*range(count)]}).json["rows"]) == count

    def test_too_many(self, server: Server) -> None:
        """More keys get 413, with their number."""
        status, title, detail = problem(send(server, "/items", {"keys": [*range(10_000)]}))
        assert (status, title) == (413, "TooManyKeys")
        assert "10000 keys" in detail

    @pytest.mark.parametrize("key", ["1", True, 1.0, None, 2**63, [1], {"id": 1}, 10**400])
    def test_wrong_key(self, server: Server, key: Any) -> None:  # noqa: ANN401
        """One key of another type refuses the request, and is named."""
        status, title, detail = problem(send(server, "/items", {"keys": [1, key]}))
        assert (status, title) == (422, "InvalidKey")
        assert repr(key)[:60] in detail

    @pytest.mark.parametrize(
        "body",
        [b"", b"[]", b"{}", b'{"keys": 1}', b'{"keys": [1], "key": 1}', b'{"keys": ["\xff"]}',
         b'{"keys": ' + b"[" * 2000, b'{"keys": [1], "columns": ["nope"]}'],
    )  # fmt: skip
    def test_malformed(self, server: Server, body: bytes) -> None:
        """Another body gets 400."""
        assert problem(send(server, "/items", body))[:2] == (400, "InvalidRequest")

    def test_large_body(self, server: Server) -> None:
        """A body that is too long gets 413."""
        keys = ["x" * 2_000_000]
        assert problem(send(server, "/customers", {"keys": keys}))[:2] == (413, "RequestTooLarge")


class TestList:
    """GET /v1/features lists the tables."""

    def test_described(self, server: Server) -> None:
        """A table has its keys, its columns and its generation."""
        (sales,) = (each for each in tables(server) if each["table"] == "sales")
        assert sales["live_since"].startswith("20")
        assert sales | {"live_since": ""} == {
            "table": "sales",
            "key": {"country": "text", "item": "integer"},
            "columns": {"count": "integer"},
            "generation": 1,
            "live_since": "",
        }


def infer(server: Server, table: str, *columns: tuple[str, str, list[Any]], **fields: Any) -> Any:  # noqa: ANN401
    """Send a V2 request with a tensor for each column."""
    inputs = [
        {"name": name, "datatype": datatype, "shape": [len(data)], "data": data}
        for name, datatype, data in columns
    ]
    response = server.send(f"/v2/models/features:{table}/infer", {"inputs": inputs} | fields)
    return response.json if response.status == 200 else (response.status, response.json["title"])


def outputs(answer: dict[str, Any]) -> dict[str, tuple[str, list[Any]]]:
    """Return the datatype and the data of each output."""
    return {each["name"]: (each["datatype"], each["data"]) for each in answer["outputs"]}


class TestV2:
    """A table is a model of V2, over HTTP and gRPC."""

    def test_columns(self, server: Server) -> None:
        """Columns are outputs of their types; the version is the generation."""
        answer = infer(server, "customers", ("customer", "BYTES", ["ada", "bob"]), id="9")
        assert (answer["model_name"], answer["model_version"]) == ("features:customers", "1")
        assert answer["id"] == "9"
        assert outputs(answer) == {
            "age": ("INT64", [36, 7]),
            "score": ("FP64", [0.5, 0.5]),
            "gold": ("BOOL", [True, False]),
            "city": ("BYTES", ["Zürich", "Zürich"]),
            "extra": ("BYTES", ['{"a":[4.5]}', '{"a":[4.5]}']),
            "tidemill.found": ("BOOL", [True, True]),
            "tidemill.time": ("INT64", [AT, AT]),
            "tidemill.version": ("BYTES", ["2026-11", "2026-11"]),
        }

    def test_missing(self, server: Server) -> None:
        """A missing row has no made-up values: its columns have JSON texts, with null."""
        answer = infer(server, "items", ("x", "INT32", [7, -1]))
        assert answer["parameters"] == {"missing": 1}
        found = outputs(answer)
        assert found["price"] == ("BYTES", ["3.5", "null"])
        assert found["tidemill.found"] == ("BOOL", [True, False])

    def test_null(self, server: Server) -> None:
        """A null is not a missing row."""
        answer = infer(server, "customers", ("customer", "BYTES", ["new"]))
        assert outputs(answer)["age"] == ("BYTES", ["null"])
        assert outputs(answer)["tidemill.found"] == ("BOOL", [True])
        assert "parameters" not in answer

    def test_composite(self, server: Server) -> None:
        """A key of several columns is a tensor for each."""
        columns = ("item", "INT64", [-7]), ("country", "BYTES", ["FR"])
        wanted = [{"name": "count"}]
        answer = infer(server, "sales", *columns, outputs=wanted)
        assert outputs(answer) == {"count": ("INT64", [3])}

    def test_json(self, server: Server) -> None:
        """With the parameter `json`, keys and rows are JSON texts."""
        keys = ['["FR", -7]', '["FR", 7]']
        answer = infer(server, "sales", ("k", "BYTES", keys), parameters={"json": True})
        _, texts = outputs(answer)["row"]
        row = {"values": {"count": 3}, "time": AT, "version": None}
        assert [json.loads(text) for text in texts] == [row, None]

    @pytest.mark.parametrize(
        ("table", "columns", "problem"),
        [
            ("items", [("id", "BYTES", ["7"])], (422, "InvalidKey")),
            ("items", [("id", "FP64", [7.5])], (422, "InvalidKey")),
            ("items", [("id", "INT64", [None])], (422, "InvalidKey")),
            ("items", [("id", "INT64", [*range(1001)])], (413, "TooManyKeys")),
            ("items", [], (400, "InvalidRequest")),
            ("sales", [("country", "BYTES", ["FR"])], (400, "InvalidRequest")),
            ("sales", [("country", "BYTES", ["FR"])] * 2, (400, "InvalidRequest")),
            (
                "sales",
                [("country", "BYTES", ["FR"]), ("item", "INT8", [])],
                (400, "InvalidRequest"),
            ),
            ("nope", [("id", "INT64", [7])], (404, "TableNotFound")),
        ],
    )
    def test_wrong(
        self, server: Server, table: str, columns: list[Any], problem: tuple[int, str]
    ) -> None:
        """A request that does not suit the table is refused, as elsewhere."""
        assert infer(server, table, *columns) == problem

    def test_described(self, server: Server) -> None:
        """A table has metadata, is ready, and is in the lists."""
        described = server.send("/v2/models/features:sales").json
        assert described["versions"] == ["1"]
        assert described["inputs"] == [
            {"name": "country", "datatype": "BYTES", "shape": [-1]},
            {"name": "item", "datatype": "INT64", "shape": [-1]},
        ]
        assert described["outputs"][0] == {"name": "count", "datatype": "INT64", "shape": [-1]}
        assert server.send("/v2/models/features%3Asales/ready").status == 200
        assert server.send("/v2/models/features:nope/ready").status == 404
        assert "features:sales" in server.send("/v2/models").json["models"]
        index = server.send("/v2/repository/index", {}).json
        assert {"name": "features:items", "version": "1", "state": "READY", "reason": ""} in index

    def test_version(self, server: Server) -> None:
        """A version is the number of the live generation; no other one is there."""
        body = {"inputs": [{"name": "id", "datatype": "INT64", "shape": [1], "data": [7]}]}
        path = "/v2/models/features:items/versions"
        assert server.send(f"{path}/1/infer", body).status == 200
        response = server.send(f"{path}/2/infer", body)
        assert (response.status, response.json["title"]) == (404, "ModelNotFound")
        assert "features:items:1" in response.json["hint"]

    def test_grpc(self, server: Server) -> None:
        """Everything is there over gRPC, too."""
        message = pb.ModelInferRequest(model_name="features:items")
        message.inputs.add(name="id", datatype="INT64", shape=[2]).contents.int64_contents.extend(
            [7, 8]
        )
        answer = server.stub.ModelInfer(message)
        assert answer.model_version == "1"
        assert [*answer.outputs[0].contents.fp64_contents] == [3.5, 4]
        described = server.stub.ModelMetadata(pb.ModelMetadataRequest(name="features:items"))
        assert [each.name for each in described.inputs] == ["id"]
        assert server.stub.ModelReady(pb.ModelReadyRequest(name="features:items")).ready
        listed = server.stub.RepositoryIndex(pb.RepositoryIndexRequest(ready=True)).models
        assert "features:items" in {each.name for each in listed}

    def test_grpc_refused(self, server: Server) -> None:
        """Errors have the statuses of gRPC."""
        message = pb.ModelInferRequest(model_name="features:items")
        message.inputs.add(name="id", datatype="BYTES", shape=[1]).contents.bytes_contents.append(
            b"7"
        )
        with pytest.raises(grpc.RpcError) as caught:
            server.stub.ModelInfer(message)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


class TestClient:
    """The client asks for rows as for outputs."""

    @pytest.mark.parametrize("scheme", ["http", "grpc"])
    def test_rows(self, server: Server, scheme: str) -> None:
        """There is a row or None for each key, and the generation is the version."""
        address = f"127.0.0.1:{server.port}" if scheme == "http" else server.address
        with Client(f"{scheme}://{address}") as client:
            found, missing = client.predict("features:sales", [["FR", -7], ["FR", 7]])
            assert found.output == {"values": {"count": 3}, "time": AT, "version": None}
            assert (found.model, found.version) == ("features:sales", "1")
            assert missing.output is None
            with pytest.raises(RequestRefused) as caught:
                client.predict("features:sales", ["FR"])
            assert caught.value.title == "InvalidKey"


class TestAccess:
    """Clients read only the tables that the settings and their tokens allow."""

    def test_settings(self, guarded: Server) -> None:
        """A table that `serving.tables` does not name is not there."""
        assert send(guarded, "/customers/ada", token=EVERYTHING).status == 200
        assert send(guarded, "/items/7", token=EVERYTHING).status == 404

    def test_token(self, guarded: Server) -> None:
        """A token that lists tables allows only these, and no model."""
        assert [each["table"] for each in tables(guarded, PART)] == ["sales"]
        assert send(guarded, "/sales/FR/-7", token=PART).status == 200
        assert send(guarded, "/customers", {"keys": ["ada"]}, token=PART).status == 404
        assert send(guarded, "/items/7", token=PART).status == 404
        headers = {"Authorization": f"Bearer {PART}"}
        assert guarded.send("/v2/models", **headers).json == {"models": ["features:sales"]}
        assert guarded.send("/v2/models/features:customers", **headers).status == 404
        assert guarded.send("/upper", {"inputs": ["a"]}, **headers).status == 404

    def test_token_with_models(self, guarded: Server) -> None:
        """A token that lists only models allows no table."""
        assert send(guarded, "/sales/FR/-7", token=OLD).status == 404
        headers = {"Authorization": f"Bearer {OLD}"}
        assert guarded.send("/v2/models", **headers).json == {"models": ["upper"]}

    def test_no_token(self, guarded: Server) -> None:
        """Without a token there is nothing."""
        assert send(guarded, "/sales/FR/-7").status == 401
        assert send(guarded, "").status == 401


class TestSettings:
    """By default no table is served."""

    def test_default(self, tmp_path: Path) -> None:
        """Without `serving.tables`, the store is not even opened."""
        url = f"sqlite:///{tmp_path}/new/store.db"
        with server_process.running(models=NO_MODELS, processes=1, store=url) as server:
            assert send(server, "/customers/ada").status == 404
            assert server.send("/v2/models/features:customers").status == 404
        assert not (tmp_path / "new").exists()


class TestOpenApi:
    """The OpenAPI document describes look-ups."""

    def test_requests(self, server: Server) -> None:
        """Each example is a request that is answered, as the schemas say."""
        paths = server.send("/openapi.json").json["paths"]
        assert [path for path in paths if path.startswith("/v1/")] == [
            "/v1/features",
            "/v1/features/customers",
            "/v1/features/customers/{customer}",
            "/v1/features/items",
            "/v1/features/items/{id}",
            "/v1/features/sales",
            "/v1/features/sales/{country}/{item}",
        ]
        for name in ("customers", "items", "sales"):
            operation = paths[f"/v1/features/{name}"]["post"]
            content = operation["requestBody"]["content"]["application/json"]
            jsonschema_rs.validate(content["schema"], content["example"])
            assert send(server, f"/{name}", content["example"]).status == 200

    @pytest.mark.parametrize(
        ("template", "path"),
        [("/customers/{customer}", "/customers/new"), ("/items/{id}", "/items/7"), ("", "")],
    )
    def test_answers(self, server: Server, template: str, path: str) -> None:
        """Answers have no other fields than their schemas, and these have their types."""
        operation = server.send("/openapi.json").json["paths"][f"/v1/features{template}"]["get"]
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        answer = send(server, path).json
        jsonschema_rs.validate(schema, answer)
        assert answer.keys() == schema["properties"].keys()
