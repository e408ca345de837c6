"""Predict with the models of an artifact that `tidemill pack` has written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from tidemill import extras
from tidemill.errors import InvalidInput, UnusableEntry

with extras.required():
    from tidemill.packing.models import PackedModels
    from tidemill.packing.queries import DATES, KEY, Options, parse

if TYPE_CHECKING:
    from tidemill.packing.kinds import Forecast


class Packed:
    """Forecast with many models, each of which has a key.

    An input is an object with `model_key`; with `ds`, a date such as `2026-01-31`, or a list of
    dates; and with a number, or a list of them, for each regressor, `cap` and `floor` that the
    model needs. An output has the same `ds`, and for each of them `yhat`, `trend`, and what the
    options ask for.
    """

    input_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {
            KEY: {"type": ["string", "integer"]},
            DATES: {"type": ["string", "array"], "items": {"type": "string"}, "minItems": 1},
        },
        "required": [KEY, DATES],
    }

    def __init__(
        self,
        artifact: str,
        *,
        trust: str | None = None,
        device: str | None = None,
        samples: int = 0,
        seed: int = 0,
        components: bool = False,
    ) -> None:
        """Open and verify the artifact.

        Args:
            artifact: The folder of an artifact.
            trust: `pickle` allows artifacts with pickles, which can run any code.
            device: `cpu` or None.
            samples: How many samples to draw for intervals; 0 for none.
            seed: The seed of the samples.
            components: Whether outputs have the components of each forecast.

        Raises:
            UnusableEntry: An option does not suit.
            ArtifactUnreadable, ArtifactTooNew, ArtifactDamaged, UntrustedPickle: The artifact
                cannot be used.

        """
        if device not in {None, "cpu"}:
            remedy = "Remove the field `device` from the entry."
            raise UnusableEntry("device", f"packed models do not run on {device}", remedy)
        self._models = PackedModels.open(Path(artifact.removeprefix("file://")), trust=trust)
        self.sample = self._models.sample
        try:
            self._options = Options(samples, seed, components)
        except InvalidInput as error:
            raise UnusableEntry("options", str(error), "Correct the entry's options.") from None

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return a forecast for each input; inputs for models of one template run together.

        Raises:
            InvalidInput: An input has no forecast.

        """
        asked = [parse(text) for text in inputs]
        found = self._models.predict([query for query, _ in asked], self._options)
        for each in found:
            if isinstance(each, InvalidInput):
                raise each
        return [
            _encode(text, forecast, is_row=is_row)
            for text, forecast, (_, is_row) in zip(inputs, found, asked, strict=True)
            if not isinstance(forecast, InvalidInput)
        ]


class _Asked(msgspec.Struct):
    ds: msgspec.Raw


_DATES = msgspec.json.Decoder(_Asked)


def _encode(text: str, forecast: Forecast, *, is_row: bool) -> str:
    values = {
        name: column[0].item() if is_row else column.tolist() for name, column in forecast.items()
    }
    return msgspec.json.encode({DATES: _DATES.decode(text).ds} | values).decode()
