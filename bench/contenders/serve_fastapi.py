"""A bare FastAPI server: it predicts on its event loop, one request at a time."""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from bench.contenders import common


class Inputs(BaseModel):
    """A request."""

    inputs: list[str]


app = FastAPI()


@app.post("/noop")
async def noop(request: Inputs) -> dict[str, object]:
    """Answer with the inputs."""
    return {"outputs": request.inputs, "model": "noop", "version": "1"}


@app.post("/ner")
async def ner(request: Inputs) -> dict[str, object]:
    """Answer with the entities."""
    outputs = [common.entities(doc) for doc in common.load().pipe(request.inputs)]
    return {"outputs": outputs, "model": "ner", "version": "1"}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False)
