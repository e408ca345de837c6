"""Have Spark count the outcomes of each micro-batch, and report the counts with its progress."""

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

# The counts by kind (model and error class) are exact up to three quarters of this many kinds.
MAX_KINDS = 16_384
# The relative error of a quantile's rank is at most one over this number.
ACCURACY = 1000


def observed(outcomes: DataFrame) -> DataFrame:
    """Count outcomes (`schemas.OUTCOME`) on their way to the sink; see `streaming.progress`.

    Spark counts within its own tasks and drops the counts of failed attempts. Since `observe`
    cannot group, a frequent-items sketch counts by kind; it is exact while all kinds fit.
    """
    latency = col("latency")
    kind = to_json(struct("model", "error"))
    return outcomes.observe(
        OBSERVATION,
        call_function("approx_top_k", kind, lit(MAX_KINDS), lit(MAX_KINDS)).alias("kinds"),
        count(latency).alias("latency_count"),
        sum_of(latency).alias("latency_sum"),
        array(*(count_if(latency <= bound) for bound in LATENCY_BUCKETS)).alias("latency_buckets"),
        percentile_approx(latency, list(QUANTILES), ACCURACY).alias("latency_quantiles"),
    )
