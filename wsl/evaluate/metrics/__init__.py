"""Every metric by name, for three kinds of results: label maps, score maps, boxes."""

# Imported for their registration in METRICS.
from wsl.evaluate.metrics import (  # noqa: F401
    box_metrics,
    label_map_metrics,
    map_box_metrics,
    pixel_metrics,
    sweep_metrics,
)
from wsl.evaluate.metrics.metric import METRICS, Metric, MetricSet, MetricSettings, choose_metrics

__all__ = ["METRICS", "Metric", "MetricSet", "MetricSettings", "choose_metrics"]
