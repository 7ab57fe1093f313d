"""How near does a threshold come to the oracle's that is chosen without ground truth, and which rule is the best?

Each --maps is a folder of score maps with its truth; masks and boxes are read to judge the rules, never by them. The
default rule is the one with the smallest mean relative gap; so that this choice is not judged on what it was made on,
each data set is also scored by the rule that the other data sets alone would have chosen.

    python benchmarks/study_thresholds.py --maps coco=runs/coco/cams,data/coco --maps neu=runs/neu/cams,data/neu,val
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from measuring import describe_setting, save_result

from wsl.evaluate.files.options import EvaluateOptions
from wsl.evaluate.files.paths import evaluate_paths
from wsl.evaluate.result import Score
from wsl.pipeline.map_files import read_any_map
from wsl.seeds.label_free import DEFAULT_RULE, LABEL_FREE_RULES

JUDGED = {"mIoU of score maps": "mIoU", "MaxBoxAccV2": "MaxBoxAccV2", "BoxAccV2": "MaxBoxAccV2"}
Gaps = dict[str, dict[str, float]]  # task -> rule -> gap as a share of the oracle's score


@dataclass(frozen=True)
class Task:
    """One folder of maps: name (before the first '/' the data set), maps, truth, split."""

    name: str
    maps: Path
    truth: Path
    split: str | None

    @staticmethod
    def parse(text: str) -> Task:
        """NAME=MAPS,TRUTH or NAME=MAPS,TRUTH,SPLIT."""
        name, _, rest = text.partition("=")
        parts = rest.split(",")
        if len(parts) not in (2, 3):
            raise SystemExit(f"--maps: expected NAME=MAPS,TRUTH[,SPLIT], but got {text}.")
        return Task(name, Path(parts[0]), Path(parts[1]), parts[2] if len(parts) == 3 else None)


def measure(task: Task) -> dict[str, dict[str, Any]]:
    """metric -> {"oracle": .., "threshold": .., "rules": {rule: {"threshold", "value"}}}."""
    ways = ("oracle", *(f"label_free:{rule}" for rule in LABEL_FREE_RULES.names()))
    options = EvaluateOptions(split=task.split, thresholds=ways, workers=os.cpu_count() or 1)
    scores = evaluate_paths(task.maps, task.truth, options, read_map=read_any_map).scores
    found: dict[str, dict[str, Any]] = {}
    for score in scores:
        if score.name in JUDGED:
            _note(found.setdefault(JUDGED[score.name], {"rules": {}}), score)
    return found


def _note(row: dict[str, Any], score: Score) -> None:
    threshold = score.threshold or {}
    if threshold["provenance"] == "oracle":
        row |= {"oracle": score.value, "threshold": threshold.get("value"), "counts": score.counts}
    else:
        row["rules"][threshold["label-free rule"]] = {"threshold": threshold["value"], "value": score.value}


def find_gaps(measured: Mapping[str, Mapping[str, Any]]) -> Gaps:
    """What is lost, as a share of the oracle's score, per task and rule."""
    return {
        f"{task}, {metric}": {rule: 1 - each["value"] / row["oracle"] for rule, each in row["rules"].items()}
        for task, rows in measured.items()
        for metric, row in rows.items()
    }


def choose_rule(gaps: Gaps) -> str:
    """The rule with the smallest mean over data sets of the mean over their tasks."""
    return min(LABEL_FREE_RULES.names(), key=lambda rule: (mean(_by_data_set(gaps, rule).values()), rule))


def _by_data_set(gaps: Gaps, rule: str) -> dict[str, float]:
    groups: dict[str, list[float]] = {}
    for task, values in gaps.items():
        groups.setdefault(_data_set(task), []).append(values[rule])
    return {name: mean(values) for name, values in groups.items()}


def _data_set(task: str) -> str:
    return task.split(",")[0].split("/")[0]


def leave_one_out(gaps: Gaps) -> dict[str, dict[str, Any]]:
    """data set -> the rule that the others choose, and its mean gap there."""
    result = {}
    for name in dict.fromkeys(map(_data_set, gaps)):
        others = {task: values for task, values in gaps.items() if _data_set(task) != name}
        if others:
            rule = choose_rule(others)
            result[name] = {"rule": rule, "gap": round(_by_data_set(gaps, rule)[name], 4)}
    return result


def tell(result: Mapping[str, Any]) -> None:
    """Gaps in per cent of the oracle's score, and the choices."""
    rules = LABEL_FREE_RULES.names()
    print("gap in % of the oracle's score", *rules, sep="\t")
    for task, values in result["gaps"].items():
        print(task, *(f"{100 * values[rule]:.1f}" for rule in rules), sep="\t")
    print("mean over data sets", *(f"{100 * result['mean'][rule]:.1f}" for rule in rules), sep="\t")
    print(f"chosen on all: {result['chosen']} (the library's default is {DEFAULT_RULE})")
    for name, row in result["leave_one_out"].items():
        print(f"  without {name}: {row['rule']}, gap on {name} {100 * row['gap']:.1f} %")


def main() -> int:
    """Measures every task; exit code 1 when the library's default is not the rule that this chooses."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maps", action="append", required=True, help="NAME=MAPS,TRUTH[,SPLIT]")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/study_thresholds.json")
    given = parser.parse_args()
    measured = {task.name: measure(task) for task in map(Task.parse, given.maps)}
    gaps = find_gaps(measured)
    means = {rule: mean(_by_data_set(gaps, rule).values()) for rule in LABEL_FREE_RULES.names()}
    result = describe_setting() | {"measured": measured, "gaps": gaps, "mean": means, "chosen": choose_rule(gaps)}
    result["leave_one_out"] = leave_one_out(gaps)
    tell(result)
    if given.save:
        print("saved", save_result("study_thresholds", result))
    return 0 if result["chosen"] == DEFAULT_RULE else 1


if __name__ == "__main__":
    sys.exit(main())
