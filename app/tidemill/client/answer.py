"""Define what the client returns for each input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from tidemill.errors import RequestError


@dataclass(frozen=True, slots=True)
class Answer:
    """An output or an error, and what model it comes from.

    Attributes:
        text: The output, one JSON value as the server wrote it; None if there is an error.
        error: Why there is no output; None if there is one.
        model: The model's name; empty if the request failed before a model was chosen.
        version: The model's version.
        variant: The variant, in an A/B test.

    """

    text: str | None
    error: RequestError | None = None
    model: str = ""
    version: str = ""
    variant: str | None = None

    @property
    def output(self) -> Any:  # noqa: ANN401 - any JSON value
        """Return the output; each call decodes it anew.

        Raises:
            RequestError: The error, if there is one, as a future would.

        """
        if self.error is not None:
            raise self.error
        return msgspec.json.decode(self.text or "")
