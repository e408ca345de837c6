"""The JSON Schema of models.yaml, with which editors complete and check the file."""

from __future__ import annotations

import inspect
import json
from typing import Any, Final

import msgspec

from dev.docs.settings_page import attributes
from tidemill.models import validation
from tidemill.models.adapters import SHORT_NAMES
from tidemill.models.entry import Entry, LimitsEntry, LookupEntry, ModelsFile, VariantEntry

# The newest draft that the editors' YAML language server supports in full.
DRAFT: Final = "http://json-schema.org/draft-07/schema#"


def page() -> str:
    """Return the schema as the text of a file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def schema() -> dict[str, Any]:
    """Return the schema of the structs, with the meanings that their docstrings give."""
    definitions = msgspec.json.schema(ModelsFile)["$defs"]
    for struct in (ModelsFile, Entry, VariantEntry, LookupEntry, LimitsEntry):
        _describe(struct, definitions[struct.__name__])
    definitions[Entry.__name__]["required"] = list(validation.REQUIRED)
    for struct in (Entry, VariantEntry):
        definitions[struct.__name__]["properties"]["adapter"] |= _adapter()
    # A variant with nothing after its name changes nothing.
    variants = definitions[Entry.__name__]["properties"]["variants"]
    variants["additionalProperties"] = {
        "anyOf": [variants["additionalProperties"], {"type": "null"}]
    }
    return {"$schema": DRAFT, **definitions.pop(ModelsFile.__name__), "$defs": definitions}


def _describe(struct: type[msgspec.Struct], definition: dict[str, Any]) -> None:
    about = attributes(struct)
    definition["description"] = inspect.cleandoc(struct.__doc__ or "").partition("\n")[0]
    for name, field in definition["properties"].items():
        field["description"] = about[name]


def _adapter() -> dict[str, Any]:
    """Complete the short names; accept any class."""
    return {"anyOf": [{"enum": sorted(SHORT_NAMES)}, {"pattern": r"^[^:\s]+:[^:\s]+$"}]}
