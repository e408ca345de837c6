"""A request to a workspace: a method of the SDK's client, and its arguments."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from databricks.sdk.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from databricks.sdk import WorkspaceClient

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Request:
    """A request that changes the workspace, and is safe to repeat.

    Attributes:
        method: The method, such as `feature_store.publish_table`.
        arguments: Its arguments by name: text, numbers, and objects of the SDK.

    """

    method: str
    arguments: dict[str, Any]

    def send(self, client: WorkspaceClient) -> Any:  # noqa: ANN401 - of any method
        """Send it and return the response."""
        return attrgetter(self.method)(client)(**self.arguments)

    def shown(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"method": self.method} | {n: _json(a) for n, a in self.arguments.items()}


def _json(value: Any) -> Any:  # noqa: ANN401 - any argument
    if isinstance(value, list):
        return [_json(one) for one in value]
    if isinstance(value, Enum):
        return value.value
    return value.as_dict() if hasattr(value, "as_dict") else value


class Resource(Protocol[Found]):
    """Something that is published, compared with what the workspace has."""

    @property
    def what(self) -> str:
        """Its kind and name."""

    def find(self, client: WorkspaceClient) -> Found | None:
        """Return what the workspace has of this name."""

    def requests(self, found: Found | None) -> list[Request]:
        """Return what is still to do.

        Raises:
            Differs: The workspace has something else of this name.

        """

    def waits_for(self, found: Found | None) -> str | None:
        """Return the state in which it cannot be used yet, None if it is ready.

        Raises:
            Broken: It will not become ready.

        """


def or_none(read: Callable[[], Found]) -> Found | None:
    """Return what a request reads, None if it does not exist."""
    try:
        return read()
    except NotFound:
        return None
