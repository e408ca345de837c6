"""Run a model over a large input as a task: `tidemill batch`, with the paths of a client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from tidemill import extras
from tidemill.jobs.cancelled import ends_at_once
from tidemill.jobs.place import Place

if TYPE_CHECKING:
    from tidemill.tasks.report import Report


class Parameters(BaseModel):
    """What to answer, and where the answers go."""

    input: Place = Field(
        description="A file, folder or table within the job's folder of inputs, if needed as "
        "FORMAT:PATH. FORMAT is jsonl, csv, parquet or delta.",
        examples=["reviews.jsonl", "csv:exports/june"],
    )
    output: Place | None = Field(
        None,
        description="A new folder within the job's folder of outputs, if needed as FORMAT:PATH. "
        "By default it is named by the id of the run. The format is by default that of the input.",
        examples=["scored", "parquet:scored/june"],
    )
    model: str | None = Field(
        None,
        description="NAME or NAME:VERSION of the models file: this model answers every row. "
        "By default each row goes to the model whose entry matches it.",
    )


class Batch:
    """Answers every row of a file, folder or table. An attempt continues where the last ended.

    Attributes:
        config: The settings file with the models.
        inputs: The folder that clients may read.
        outputs: The folder that clients may write.
        part_rows: How many rows are saved together, and repeated after a crash.

    """

    def __init__(self, config: str, inputs: str, outputs: str, part_rows: int = 5000) -> None:
        """Take the options of the job."""
        self.config = config
        self.inputs = inputs
        self.outputs = outputs
        self.part_rows = part_rows

    def run(self, parameters: Parameters, report: Report) -> dict[str, Any]:
        """Return the summary of the batch.

        Raises:
            TidemillError: The input cannot be read, the output exists, or a model does not work.

        """
        with ends_at_once():
            with extras.required("batch"):  # which whoever only submits need not have
                from tidemill.jobs.attempt import answer  # noqa: PLC0415
            return answer(self, parameters, report)
