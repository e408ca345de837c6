"""What Spark counts of each micro-batch on its way to the sink, and reports with its progress."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql.functions import (
    array,
    call_function,
    col,
    count,
    count_if,
    lit,
    percentile_approx,
    struct,
    to_json,
)
from pyspark.sql.functions import (
    sum as sum_of,
)

from tidemill.streaming.progress import LATENCY_BUCKETS, OBSERVATION, QUANTILES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Kinds of outcomes (model and error class): counted exactly up to three quarters of this many.
MOST_KINDS = 16_384
# One in so many: how far a quantile may be off.
ACCURACY = 1000


def observed(outcomes: DataFrame) -> DataFrame:
    """Have outcomes (`schemas.OUTCOME`) counted as they pass; see `streaming.progress`.

    Spark counts within its own tasks and drops what failed attempts counted. A frequent-items
    sketch does what a grouping would, which `observe` cannot; it is exact while all kinds fit.
    """
    latency = col("latency")
    kind = to_json(struct("model", "error"))
    return outcomes.observe(
        OBSERVATION,
        call_function("approx_top_k", kind, lit(MOST_KINDS), lit(MOST_KINDS)).alias("kinds"),
        count(latency).alias("latency_count"),
        sum_of(latency).alias("latency_sum"),
        array(*(count_if(latency <= bound) for bound in LATENCY_BUCKETS)).alias("latency_buckets"),
        percentile_approx(latency, list(QUANTILES), ACCURACY).alias("latency_quantiles"),
    )
