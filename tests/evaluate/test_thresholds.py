from __future__ import annotations

from pathlib import Path

import pytest

from wsl.errors import ConfigError, DataError
from wsl.evaluate.result import Score, name_table, write_scores
from wsl.evaluate.thresholds import (
    CHOICES,
    GivenThreshold,
    ThresholdRequest,
    add_gap,
    give_fixed,
    give_from_folder,
    parse_requests,
    refuse_overlap,
)
from wsl.seeds.label_free import DEFAULT_RULE


def test_texts_become_requests() -> None:
    found = parse_requests(["0.3", "oracle", "label_free", "label_free:otsu", "val:train", "from:a/b", "fixed:0.3"])
    assert found == (
        ThresholdRequest("fixed", "0.3"),
        ThresholdRequest("oracle"),
        ThresholdRequest("label_free", DEFAULT_RULE),
        ThresholdRequest("label_free", "otsu"),
        ThresholdRequest("val", "train"),
        ThresholdRequest("from", "a/b"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [("orakle", "Did you mean: oracle"), ("fixed:x", "expected a number"), ("label_free:ots", "otsu"), ("val:", "val")],
)
def test_other_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_requests([text])


def test_a_fixed_threshold_is_for_every_metric() -> None:
    requests = parse_requests(["0.3", "oracle"])
    assert give_fixed(requests, ["miou", "pixel_ap"]) == [
        GivenThreshold("miou", 0.3, "fixed"),
        GivenThreshold("pixel_ap", 0.3, "fixed"),
    ]


def test_choices_come_from_another_evaluation(tmp_path: Path) -> None:
    write_scores(tmp_path, [], {CHOICES: {"miou": 0.31}, "background rule": "constant"})
    settings = {"background rule": "constant", "protocol": "original"}
    (given,) = give_from_folder(tmp_path, ["miou"], settings)
    assert given == GivenThreshold("miou", 0.31, "val", {"chosen on": str(tmp_path)})
    with pytest.raises(DataError, match="it holds a threshold for miou, but none for pixel_ap"):
        give_from_folder(tmp_path, ["miou", "pixel_ap"], settings)
    with pytest.raises(ConfigError, match="for background rule constant, but background rule is power here"):
        give_from_folder(tmp_path, ["miou"], settings | {"background rule": "power"})
    write_scores(tmp_path, [], {})
    with pytest.raises(DataError, match="there is no choice"):
        give_from_folder(tmp_path, ["miou"], settings)


def test_a_threshold_is_never_chosen_on_an_image_that_is_scored() -> None:
    refuse_overlap("val:train", ["a", "b"], ["c"])
    with pytest.raises(ConfigError, match=r"threshold val:train: .* scored too \(1, such as 'b'\)"):
        refuse_overlap("val:train", ["a", "b"], ["c", "b"])


def test_a_score_says_how_far_it_is_from_the_oracle_and_its_table_how_it_was_found() -> None:
    score = Score("mIoU", 0.25, "p", threshold={"value": 0.3, "provenance": "label_free", "rule": "constant"})
    given = GivenThreshold("miou", 0.3, "label_free", {"label-free rule": "otsu"})
    shown = add_gap(score, given, 0.75)
    assert shown.threshold == {
        "value": 0.3,
        "provenance": "label_free",
        "rule": "constant",
        "label-free rule": "otsu",
        "gap to oracle": 0.5,
    }
    assert name_table(shown) == "mIoU (label_free otsu)"
    assert name_table(shown, {"mIoU (label_free otsu)"}) == "mIoU (label_free otsu 0.3)"
    assert name_table(Score("mIoU", 0.25, "p")) == "mIoU"
    assert add_gap(score, given, None).threshold["gap to oracle"] is None
