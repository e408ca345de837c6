"""The statements that create and change feature tables, as a SQL warehouse would run them."""

from __future__ import annotations

import re
from typing import Any

from jobs_shapes import Refused

NAME = r"`([^`]+)`"
TABLE = rf"{NAME}\.{NAME}\.{NAME}"
CREATE = re.compile(
    rf"CREATE TABLE IF NOT EXISTS {TABLE} \((.*)\)\nUSING DELTA(?:\nTBLPROPERTIES \((.*)\))?",
    re.DOTALL,
)
ALTER = re.compile(rf"ALTER TABLE {TABLE} (.*)")
KEY = re.compile(rf"CONSTRAINT {NAME} PRIMARY KEY \((.*)\)")
COLUMN = re.compile(rf"{NAME} ([A-Z_]+(?:\(\d+,\d+\)|<[A-Z_]+>)?)( NOT NULL)?")
PROPERTY = re.compile(r"'([^']+)' = '([^']+)'")
Json = dict[str, Any]


def run(statement: str, tables: dict[str, Json], schemas: set[str]) -> None:
    """Run a statement.

    Raises:
        Refused: The warehouse would refuse it.

    """
    if create := CREATE.fullmatch(statement):
        catalog, schema, name, inner, properties = create.groups()
        if f"{catalog}.{schema}" not in schemas:
            raise Refused(f"[SCHEMA_NOT_FOUND] The schema `{catalog}`.`{schema}` cannot be found.")
        full_name = f"{catalog}.{schema}.{name}"
        if full_name not in tables:
            *lines, constraint = re.split(r",\n", inner)
            columns = [_column(line.strip()) for line in lines]
            tables[full_name] = table(full_name, columns, _properties(properties or ""))
            _add_key(tables[full_name], constraint.strip())
    elif alter := ALTER.fullmatch(statement):
        *names, change = alter.groups()
        _alter(tables[".".join(names)], change)
    else:
        raise Refused(f"[PARSE_SYNTAX_ERROR] {statement}")


def table(name: str, columns: list[Json], properties: dict[str, str]) -> Json:
    """Return a Delta table as Unity Catalog describes it."""
    return {
        "full_name": name,
        "table_type": "MANAGED",
        "data_source_format": "DELTA",
        "columns": columns,
        "properties": properties,
    }


def _alter(altered: Json, change: str) -> None:
    columns = {column["name"]: column for column in altered["columns"]}
    if added := re.fullmatch(r"ADD COLUMNS \((.*)\)", change):
        new = [_column(text) for text in added[1].split(", ")]
        if taken := [column["name"] for column in new if column["name"] in columns]:
            raise Refused(f"[FIELDS_ALREADY_EXISTS] {taken}")
        altered["columns"] += new
    elif required := re.fullmatch(rf"ALTER COLUMN {NAME} SET NOT NULL", change):
        columns[required[1]]["nullable"] = False
    elif change.startswith("ADD CONSTRAINT"):
        _add_key(altered, change.removeprefix("ADD "))
    elif properties := re.fullmatch(r"SET TBLPROPERTIES \((.*)\)", change):
        altered["properties"] |= _properties(properties[1])
    else:
        raise Refused(f"[PARSE_SYNTAX_ERROR] {change}")


def _column(text: str) -> Json:
    column = COLUMN.fullmatch(text)
    if column is None:
        raise Refused(f"[PARSE_SYNTAX_ERROR] {text}")
    return {"name": column[1], "type_text": column[2].lower(), "nullable": not column[3]}


def _add_key(altered: Json, constraint: str) -> None:
    key = KEY.fullmatch(constraint)
    if key is None or altered.get("table_constraints"):
        raise Refused(f"[PARSE_SYNTAX_ERROR or DUPLICATE_KEY] {constraint}")
    names = re.findall(NAME, key[2])
    nullable = {c["name"] for c in altered["columns"] if c["nullable"]}
    if nullable & set(names):
        raise Refused(f"the primary key has nullable columns: {nullable & set(names)}")
    times = re.findall(rf"{NAME} TIMESERIES", key[2])
    primary = {"name": key[1], "child_columns": names, "timeseries_columns": times}
    altered["table_constraints"] = [{"primary_key_constraint": primary}]


def _properties(text: str) -> dict[str, str]:
    return dict(PROPERTY.findall(text))
