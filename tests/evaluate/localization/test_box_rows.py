from __future__ import annotations

import numpy as np
import pytest

from wsl.evaluate.localization.box_hits import BoxHits
from wsl.evaluate.localization.box_rows import PER_CLASS, BoxRows
from wsl.evaluate.localization.max_box_acc import MaxBoxAcc
from wsl.evaluate.result import Score
from wsl.types import Box, ClassSet

# class, share of the image, best IoU of all contours at the thresholds 0.1 = 0.2 (one level), 0.5 and 0.7
PAIRS = ((1, 0.01, (0.6, 0.6, 0.2)), (1, 0.2, (0.1, 0.6, 0.3)), (2, 0.2, (0.0, 0.4, 0.9)), (2, 0.9, (0.7, 0.5, 0.8)))
NAMES = ["V2@0.5", "V2@0.8", "V2", "V1@0.5"]


def make_rows(value: float | None = None, column: int = 0) -> BoxRows:
    hits = BoxHits((0.5, 0.8), 3, (0.05, 0.5))
    for class_id, share, best in PAIRS:
        hits.add(class_id, share, np.array([np.array(best) / 2, best]))
    return BoxRows(
        stem="Acc",
        hits=hits,
        thresholds=np.array([0.1, 0.2, 0.5, 0.7]),
        group=np.array([0, 0, 1, 2]),
        column=column,
        record={"value": value, "provenance": "oracle" if value is None else "val"},
        conventions={"grid": "original"},
        counts={"constant maps": 3},
        classes=ClassSet(("cat", "dog")),
    )


def by_name(scores: list[Score]) -> dict[str, Score]:
    return {score.name: score for score in scores}


def test_main_scores_are_read_at_their_own_best_threshold() -> None:
    scores = make_rows().main()
    assert [score.name for score in scores] == [f"Acc{name}" for name in NAMES]
    assert [score.value for score in scores] == [0.75, 0.5, 0.625, 0.0]
    half, high, mean, _ = scores
    assert [score.threshold["value"] for score in scores] == [0.5, 0.7, None, 0.1]  # the lowest where all are equal
    assert half.curve == {"threshold": [0.1, 0.2, 0.5, 0.7], "accuracy": [0.5, 0.5, 0.75, 0.5]}
    assert half.per_class == {"cat": {"accuracy": 1.0}, "dog": {"accuracy": 0.5}}
    assert half.counts == {"image-class pairs": 4, "constant maps": 3}
    assert high.conventions == {"grid": "original"}
    assert (mean.per_class, mean.curve, mean.protocol) == ({}, None, half.protocol)


def test_a_given_threshold_is_used_for_all() -> None:
    scores = by_name(make_rows(0.2, column=0).main())
    assert scores["AccV2@0.5"].value == 0.5
    assert {score.threshold["value"] for score in scores.values()} == {0.2}
    assert {score.threshold["provenance"] for score in scores.values()} == {"val"}


def test_each_class_at_its_own_best_threshold() -> None:
    scores = make_rows().per_class()
    assert [score.name for score in scores] == [f"Acc{name} per-class threshold" for name in NAMES]
    assert [score.value for score in scores] == [1.0, 0.5, 0.75, 0.0]
    assert scores[0].per_class == {
        "cat": {"accuracy": 1.0, "threshold": 0.5},
        "dog": {"accuracy": 1.0, "threshold": 0.7},
    }
    assert scores[0].threshold == {"value": None, "provenance": "oracle"}
    assert {score.protocol for score in scores} == {PER_CLASS}


def test_sizes_at_the_threshold_of_all_pairs() -> None:
    scores = by_name(make_rows().by_size())
    assert [scores[f"AccV2@0.5 {word}"].value for word in ("small", "medium", "large")] == [1.0, 0.5, 1.0]
    assert [scores[f"AccV2 {word}"].value for word in ("small", "medium", "large")] == [0.5, 0.5, 1.0]
    assert [scores[f"AccV2@0.5 {word}"].counts["image-class pairs"] for word in ("small", "medium", "large")] == [
        1,
        2,
        1,
    ]
    assert {scores[f"AccV2@0.5 {word}"].threshold["value"] for word in ("small", "medium", "large")} == {0.5}
    assert "below 0.05" in scores["AccV2@0.5 small"].conventions["size"]
    assert "AccV1@0.5 large" in scores


def test_extra_rows_come_when_asked_for() -> None:
    def names(**options: object) -> set[str]:
        metric = MaxBoxAcc(**options)
        metric.update(np.eye(9), [Box((0, 0, 3, 3), 1)])
        return {score.name for score in metric.scores()}

    plain = names()
    assert names(per_class=True) - plain == {f"{name} per-class threshold" for name in plain}
    sizes = names(size_limits=(0.1, 0.5)) - plain
    assert sizes == {f"{name} {word}" for name in plain for word in ("small", "medium", "large")}


def test_a_size_without_objects_is_undefined() -> None:
    metric = MaxBoxAcc(size_limits=(0.1, 0.5))
    metric.update(np.eye(9), [Box((0, 0, 3, 4), 1)])
    scores = by_name(metric.scores())
    assert scores["MaxBoxAccV2@0.3 small"].value is None
    assert scores["MaxBoxAccV2 large"].value is None
    assert scores["MaxBoxAccV2@0.3 medium"].value == pytest.approx(scores["MaxBoxAccV2@0.3"].value)
