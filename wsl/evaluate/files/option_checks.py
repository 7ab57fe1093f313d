"""Options against what is scored: none is of a wrong value, and none is passed over in silence."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from wsl.errors import ConfigError
from wsl.evaluate.files.options import EvaluateOptions
from wsl.evaluate.files.sources import MISSING
from wsl.evaluate.localization.box_protocols import get_protocol
from wsl.evaluate.metrics import MetricSettings, choose_metrics
from wsl.evaluate.segmentation.confusion import ABSENT, BACKGROUND_POLICIES, PREDICTED_IGNORE, check_policy
from wsl.evaluate.thresholds import parse_requests
from wsl.seeds.background import BACKGROUND_RULES, check_background
from wsl.types import ClassSet

# What is scored -> the options that have a meaning for it. `split` is refused with the path of the ground truth.
_LABEL_MAPS = ("metrics", "predicted_ignore", "absent", "background", "missing")
_SCORE_MAPS = ("metrics", "thresholds", "rule", "values", "protocol", "absent", "background", "missing")
_MASK_LIST = ("classes", "metrics", "absent", "background", "boundary")
USED = {
    "label maps": ("classes", *_LABEL_MAPS),
    "score maps": ("classes", *_SCORE_MAPS),
    "box files": ("classes", "metrics", "missing"),
    "a list of boxes": ("classes", "metrics"),
    "mask files": (*_MASK_LIST, "missing"),
    "a list of masks": _MASK_LIST,
    "COCO JSON": ("boundary",),
    "wsolevaluation's metadata": ("classes", "protocol", "missing", "mask_root", "rankings"),
}
_ALWAYS = ("kind", "split", "workers", "intervals", "seed")
_METRIC_KINDS = {"label maps": "label_maps", "score maps": "score_maps", "box files": "boxes"}
_METRIC_KINDS |= {"a list of boxes": "boxes", "mask files": "label_maps", "a list of masks": "label_maps"}


def check_values(options: EvaluateOptions) -> None:
    """Raises ConfigError for a value that is none of its option's, whatever is scored."""
    check_policy(options.predicted_ignore, PREDICTED_IGNORE, "--predicted-ignore")
    check_policy(options.absent, ABSENT, "--absent")
    check_policy(options.background, BACKGROUND_POLICIES, "--background")
    check_policy(options.missing, MISSING, "--missing")
    BACKGROUND_RULES.get(options.rule)
    for value in options.values:
        check_background(options.rule, value)
    if options.protocol is not None:
        get_protocol(options.protocol)
    parse_requests(options.thresholds)


def check_used(options: EvaluateOptions, scored: str) -> None:
    """Raises ConfigError for an option that was chosen but has no meaning for what is scored, a key of USED, and for a
    metric of other results."""
    for field in fields(options):
        value = getattr(options, field.name)
        if field.name not in (*_ALWAYS, *USED[scored]) and value != field.default:
            raise ConfigError(
                f"{_to_flag(field.name)}{_show(value)} cannot be used for {scored}; expected only "
                f"{', '.join(map(_to_flag, USED[scored]))}: leave it out."
            )
    if "metrics" in USED[scored]:
        anything = MetricSettings(ClassSet(("any",)), has_masks=True, has_boxes=True)
        choose_metrics(_METRIC_KINDS[scored], options.metrics, anything)


def _to_flag(name: str) -> str:
    return "--threshold" if name == "thresholds" else f"--{name.replace('_', '-')}"


def _show(value: Any) -> str:
    """As on the command line, after a space; "" for switches and class lists, which are files there."""
    if isinstance(value, (bool, ClassSet)):
        return ""
    return f" {','.join(map(str, value))}" if isinstance(value, tuple) else f" {value}"
