"""All metrics of one pair in one batch equal the metrics one by one."""

from __future__ import annotations

import numpy as np
import pytest

from tests.oracles.evaluate_faithfulness import curve_area, impute_removed, list_ranked
from wsl.errors import ConfigError, DataError
from wsl.evaluate.faithfulness.insertion_deletion import blur_image
from wsl.evaluate.faithfulness.measure import FaithfulnessSettings, measure_faithfulness

GENERATOR = np.random.default_rng(4)
IMAGE = GENERATOR.integers(0, 256, (16, 16, 3)).astype(np.uint8)
SETTINGS = FaithfulnessSettings(steps=4, percentages=(25.0, 50.0), noise=0.0)


class Brightness:
    """Score of a class: how bright the upper left quarter is. Counts what it is asked."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, images: np.ndarray) -> np.ndarray:
        assert images.dtype == np.float32
        self.batches.append(len(images))
        return images[:, :8, :8].mean((1, 2, 3), dtype=np.float64) / 255


def draw_map(top: int, left: int) -> np.ndarray:
    score_map = np.linspace(0, 0.1, 256, dtype=np.float32).reshape(16, 16)
    score_map[top : top + 8, left : left + 8] += 0.9
    return score_map


def test_every_number_equals_its_literal_form() -> None:
    predict, score_map = Brightness(), draw_map(0, 0)
    found = measure_faithfulness(predict, IMAGE, score_map, SETTINGS)
    assert predict.batches == [SETTINGS.predictions]
    before = predict(IMAGE[None].astype(np.float32))[0]
    after = predict((IMAGE * score_map[:, :, None])[None].astype(np.float32))[0]
    mean = np.broadcast_to(np.array(SETTINGS.deletion_colour), IMAGE.shape)
    changes = {}
    for name, ranked in (("ROAD MoRF", list_ranked(score_map)), ("ROAD LeRF", list_ranked(score_map)[::-1])):
        scores = []
        for count in (64, 128):
            removed = np.zeros((16, 16), bool)
            for place in ranked[:count]:
                removed[place] = True
            scores.append(predict(impute_removed(IMAGE, removed)[None].astype(np.float32))[0])
        changes[name] = np.mean(scores) - before
    expected = {
        "average drop": max(0, before - after) / before,
        "increase in confidence": float(after > before),
        "complexity": score_map.mean(),
        "insertion": curve_area(predict, blur_image(IMAGE.astype(np.float32)), IMAGE, score_map, 4),
        "deletion": curve_area(predict, IMAGE, mean, score_map, 4),
        **changes,
        "ROAD": (changes["ROAD LeRF"] - changes["ROAD MoRF"]) / 2,
    }
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_map_on_the_evidence_is_better_than_one_beside_it() -> None:
    image = np.full((16, 16, 3), 10, np.uint8)
    image[:8, :8] = GENERATOR.integers(200, 256, (8, 8, 3))
    right, wrong = (measure_faithfulness(Brightness(), image, draw_map(*place)) for place in ((0, 0), (8, 8)))
    assert right["average drop"] < wrong["average drop"]
    assert right["deletion"] < wrong["deletion"]
    assert right["insertion"] > wrong["insertion"]
    assert right["ROAD"] > 0.05 > wrong["ROAD"]


def test_default_costs_less_than_sixty_predictions() -> None:
    assert FaithfulnessSettings().predictions == 42


def test_bad_input_is_refused() -> None:
    with pytest.raises(ConfigError, match="steps"):
        FaithfulnessSettings(steps=0)
    with pytest.raises(ConfigError, match="percentages"):
        FaithfulnessSettings(percentages=())
    with pytest.raises(DataError, match="expected 14 finite class scores"):
        measure_faithfulness(lambda images: np.zeros(3), IMAGE, draw_map(0, 0), SETTINGS)
    with pytest.raises(DataError, match="normalise the map first"):
        measure_faithfulness(Brightness(), IMAGE, draw_map(0, 0) * 3, SETTINGS)
