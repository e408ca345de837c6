from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from deploy.databricks.features.description import Description, read
from deploy.databricks.features.errors import DescriptionWrong
from dev import ROOT
from dev.docs.blocks import blocks

if TYPE_CHECKING:
    from pathlib import Path

    from http_api import Json

PAGE = ROOT / "docs" / "deploy" / "databricks-features.md"
TABLE, ONLINE = "main.shop.customer_features", "main.shop.customer_features_online"


def put(document: Json, place: str, value: Any) -> None:  # noqa: ANN401 - JSON
    """Set a value of a document; its place has names and numbers between dots."""
    *path, last = (int(part) if part.isdigit() else part for part in place.split("."))
    inner: Any = document
    for part in path:
        inner = inner[part]
    inner[last] = value


def problem(document: object, folder: Path) -> str:
    """Return why a description is refused."""
    path = folder / "features.json"
    path.write_text(json.dumps(document), "utf-8")
    with pytest.raises(DescriptionWrong) as caught:
        read(path)
    return str(caught.value)


class TestRead:
    """A description is read from YAML or JSON."""

    def test_json(self, example: Json, description: Description, tmp_path: Path) -> None:
        """JSON means the same as YAML."""
        path = tmp_path / "features.json"
        path.write_text(json.dumps(example), "utf-8")
        assert read(path) == description

    def test_page(self, description: Description, tmp_path: Path) -> None:
        """The documentation shows the shipped description."""
        (block,) = (block for block in blocks(PAGE) if block.language == "yaml")
        path = tmp_path / "features.yaml"
        path.write_text(block.text, "utf-8")
        assert read(path) == description

    def test_tables_only(self, example: Json, tmp_path: Path) -> None:
        """Tables alone are enough; their names become lower case, as in Unity Catalog."""
        table = example["tables"][0] | {"name": "Main.Shop.Features"}
        table["columns"]["customer"] = "BIGINT"
        del table["online"]
        path = tmp_path / "features.json"
        path.write_text(json.dumps({"tables": [table]}), "utf-8")
        assert read(path).tables[0].name == "main.shop.features"

    @pytest.mark.parametrize("text", [None, "tables: [", "\udcff", "- 1", ""])
    def test_no_description(self, text: str | None, tmp_path: Path) -> None:
        """A file that is missing, no YAML, no text or no mapping is named."""
        path = tmp_path / "features.yaml"
        if text is not None:
            path.write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(DescriptionWrong, match=r"features\.yaml: "):
            read(path)


class TestRefused:
    """A wrong description is refused, and the message names the place."""

    @pytest.mark.parametrize(
        ("place", "value", "expected"),
        [
            (
                "tables.0.online.mode",
                "hourly",
                "tables[0].online.mode: Input should be 'triggered'",
            ),
            ("tables.0.colums", {}, "tables[0].colums: there is no such field"),
            ("tables.0.name", "shop.features", "tables[0].name: "),
            ("tables.0.name", "main.shop.`x`; drop", "tables[0].name: "),
            ("tables.0.name", "main.shop.x\n", "tables[0].name: "),
            ("tables.0.columns.customer", "bigint) --", "tables[0].columns.customer: "),
            ("tables.0.columns.a`b", "int", "tables[0].columns.a`b"),
            ("tables.0.columns.Customer", "int", "two columns differ only in case"),
            ("tables.0.columns", {"customer": "int"}, "tables[0].columns: "),
            ("tables", [], "tables: no table is described"),
            ("tables.0.primary_key", [], "tables[0].primary_key: "),
            ("tables.0.primary_key", ["user"], "'user', of the key, is not a column"),
            ("tables.0.primary_key", ["customer", "customer"], "'customer' is in the key twice"),
            ("tables.0.primary_key", ["customer", "updated"], "'updated' is in the key twice"),
            ("tables.0.timeseries", "customer", "'customer' is in the key twice"),
            ("tables.0.timeseries", "orders_30d", "`timeseries` is a int, not a timestamp"),
            (
                "tables.0.columns.customer",
                "date",
                "'customer' is a date: as part of a key, make it",
            ),
            ("tables.0.columns.customer", "array<int>", "'customer' is an array"),
            ("tables.0.online.name", TABLE, "`online.name` is the name of the table itself"),
            ("tables.1.name", TABLE, f"tables: two tables are called {TABLE}"),
            ("tables.1.online.name", ONLINE, f"tables: two tables are called {ONLINE}"),
            ("tables.0.online", None, f"{TABLE} has no `online`, from which the endpoint reads"),
            ("online_store", None, "tables have `online`, without `online_store`"),
            ("online_store.name", "shop_features", "online_store.name: "),
            ("online_store.capacity", "CU_3", "online_store.capacity: "),
            ("feature_spec", None, "an `endpoint` without `feature_spec`"),
            ("feature_spec.features.0.table", "main.shop.x", "`tables` has no main.shop.x"),
            ("feature_spec.features.0.columns", ["spend"], f"{TABLE} has no column 'spend'"),
            ("feature_spec.features.0.columns", ["updated"], "'updated' belongs to the key of"),
            ("feature_spec.features.0.columns", ["spend_30d"], "`defaults` has 'orders_30d'"),
            ("endpoint.workload_size", "Huge", "endpoint.workload_size: "),
            ("endpoint.token", "dapi", "endpoint.token: there is no such field"),
        ],
    )
    def test_place(
        self,
        place: str,
        value: object,
        expected: str,
        example: Json,
        tmp_path: Path,
    ) -> None:
        """Each wrong value has a message of its own."""
        put(example, place, value)
        assert expected in problem(example, tmp_path)

    def test_all_at_once(self, example: Json, tmp_path: Path) -> None:
        """One message names all wrong values, and shows none of them."""
        put(example, "online_store.capacity", "canary-1")
        put(example, "endpoint.workload_size", "canary-2")
        message = problem(example, tmp_path)
        assert "online_store.capacity" in message
        assert "endpoint.workload_size" in message
        assert "canary" not in message
