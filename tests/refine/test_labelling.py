"""Label rules and refiners together: which seeds and backgrounds the views of an image have."""

from __future__ import annotations

import numpy as np

from wsl.refine.inputs import RefineInput
from wsl.refine.labelling import list_views, refine_labels
from wsl.refine.refiner import build_refiner
from wsl.seeds.rules import NO_CLEANING, build_rule

SCORES = np.array([[[0.0, 0.2, 0.6, 0.9]]], np.float32)
SEEDS = np.array([[0, 255, 255, 7]], np.uint8)
INPUTS = RefineInput(np.zeros((1, 4, 3), np.uint8), SCORES, SEEDS, (7,), np.full((1, 4), 0.4, np.float32))


def test_views_have_the_labels_of_their_own_background() -> None:
    strict, generous = list_views(INPUTS, build_rule("two_threshold"), keep_seeds=False)
    assert strict.seeds is not None
    assert generous.seeds is not None
    assert strict.seeds.tolist() == [[0, 0, 7, 7]]
    assert generous.seeds.tolist() == [[0, 7, 7, 7]]


def test_without_backgrounds_of_its_own_a_rule_takes_the_image_as_it_is() -> None:
    (view,) = list_views(INPUTS, build_rule("argmax"), keep_seeds=False)
    assert view is INPUTS


def test_region_growing_starts_from_the_cues_under_every_rule() -> None:
    """With the labels of a view as seeds nothing would be left to grow over."""
    for method in ("region_grow", ["none", "region_grow"]):
        refiner = build_refiner(method)
        assert refiner.keeps_cues
        assert refiner.needs == "seeds"
        views = list_views(INPUTS, build_rule("two_threshold"), keep_seeds=refiner.keeps_cues)
        assert all(view.seeds is SEEDS for view in views)
    # generous, background .05: .2 / (.05 + .2) passes, so only there the second pixel is the class
    grow = build_refiner("region_grow", probabilities="scores", foreground=0.7, rest="background")
    labels = refine_labels(INPUTS, grow, build_rule("two_threshold"), NO_CLEANING)
    assert labels.tolist() == [[0, 255, 255, 7]]
