"""Every metric by name, for three kinds of results: label maps, score maps, boxes."""

# Imported for their registration in METRICS, in the order in which scores are shown.
from wsl.evaluate.metrics import label_map_metrics  # noqa: F401, I001
from wsl.evaluate.metrics import sweep_metrics, map_box_metrics, pixel_metrics  # noqa: F401
from wsl.evaluate.metrics import box_metrics  # noqa: F401
from wsl.evaluate.metrics.metric import METRICS, Metric, MetricSet, MetricSettings, choose_metrics

__all__ = ["METRICS", "Metric", "MetricSet", "MetricSettings", "choose_metrics"]
