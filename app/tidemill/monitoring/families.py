"""Build families of Prometheus metrics from labels and values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tidemill.monitoring.histogram import Histogram


def counter(
    name: str,
    documentation: str,
    labels: Sequence[str],
    values: Iterable[tuple[Sequence[str], float]],
) -> CounterMetricFamily:
    """Return a counter with a value for each set of labels; its name is without `_total`."""
    family = CounterMetricFamily(name, documentation, labels=labels)
    for label_values, value in values:
        family.add_metric(label_values, value)
    return family


def gauge(
    name: str,
    documentation: str,
    labels: Sequence[str],
    values: Iterable[tuple[Sequence[str], float]],
) -> GaugeMetricFamily:
    """Return a gauge with a value for each set of labels."""
    family = GaugeMetricFamily(name, documentation, labels=labels)
    for label_values, value in values:
        family.add_metric(label_values, value)
    return family


def histogram(
    name: str,
    documentation: str,
    labels: Sequence[str],
    histograms: Iterable[tuple[Sequence[str], Histogram]],
) -> HistogramMetricFamily:
    """Return a family with a histogram for each set of labels."""
    family = HistogramMetricFamily(name, documentation, labels=labels)
    for label_values, counts in histograms:
        family.add_metric(label_values, counts.buckets(), counts.sum)
    return family
