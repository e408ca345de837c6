"""Quote the figures of a talk about the same task, to show beside ours.

Amit Adiraju and Diana Adam (Albertsons): Near Real-Time Inference with Databricks Serverless
Compute. Its 1,400 models of Prophet, its data and its machines are others than ours.
"""

from __future__ import annotations

from typing import Final, NamedTuple

TALK: Final = "Adiraju and Adam (Albertsons), Near Real-Time Inference with Databricks Serverless"


class Compression(NamedTuple):
    """What one model takes: its bytes, and the seconds to load it."""

    size: int
    load_s: float


# By the names of our kinds; the talk has no other.
COMPRESSIONS: Final = {
    "pickle-none": Compression(2_977_828, 0.020988),
    "pickle-blosc": Compression(355_948, 0.019898),
    "pickle-bz2": Compression(62_351, 0.033048),
    "pickle-gzip": Compression(58_977, 0.021448),
    "pickle-brotli": Compression(34_888, 0.006791),
    "pickle-lzma": Compression(28_420, 0.022012),
}


class Latency(NamedTuple):
    """How long 1,400 models take for 52 rows each; `at_once` is the number in a request."""

    approach: str
    at_once: int
    compressed: bool
    seconds: float


LATENCIES: Final = (
    Latency("job cluster, one batch", 1400, compressed=False, seconds=350.24),
    Latency("serverless endpoint, with warm-up", 10, compressed=False, seconds=48.18),
    Latency("serverless endpoint, with warm-up", 20, compressed=False, seconds=18.44),
    Latency("serverless endpoint, with warm-up", 30, compressed=False, seconds=18.24),
    Latency("serverless endpoint", 10, compressed=True, seconds=21.23),
    Latency("serverless endpoint", 20, compressed=True, seconds=16.32),
    Latency("serverless endpoint", 30, compressed=True, seconds=14.12),
)
