from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluate.certainty.tables_of_images import COLUMNS, histogram_table, make_histograms
from tests.oracles.evaluate_certainty import best_column, pixel_ap, pixel_iou, repeat
from wsl.errors import DataError
from wsl.evaluate.certainty.tables import index_images
from wsl.evaluate.localization.pixel_ap import PixelAp


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), images=st.integers(1, 6))
def test_pixel_scores_of_copied_images(seed: int, images: int) -> None:
    generator = np.random.default_rng(seed)
    known = make_histograms(generator, images)
    weights = generator.integers(0, 3, (4, images))
    area, overlap = histogram_table(known), histogram_table(known, score="piou", threshold="oracle_each")
    kept = replace(overlap, threshold="oracle")
    on_whole = best_column([pixel_iou(known, column) for column in range(COLUMNS)])
    for row, times in enumerate(weights):
        copies = repeat(known, times)
        each = best_column([pixel_iou(copies, column) for column in range(COLUMNS)])
        np.testing.assert_allclose(area.measure(weights)[row], pixel_ap(copies), rtol=1e-12)
        np.testing.assert_array_equal(overlap.measure(weights)[row], pixel_iou(copies, each))
        np.testing.assert_array_equal(kept.measure(weights)[row], pixel_iou(copies, on_whole))
        for place, class_id in enumerate(area.class_ids):
            np.testing.assert_allclose(
                area.measure_classes(weights)[row, place], pixel_ap(copies, class_id), rtol=1e-12
            )
            found = overlap.measure_classes(weights)[row, place]
            np.testing.assert_array_equal(found, pixel_iou(copies, each, class_id))


def test_value_is_that_of_the_accumulator() -> None:
    generator = np.random.default_rng(0)
    accumulator = PixelAp(keep_histograms=True)
    for index in range(4):
        score_map, mask = generator.random((9, 7)), generator.random((9, 7)) < 0.4
        accumulator.update(score_map, mask, None, 1 + index % 2, f"image {index}")
    kept, (area, overlap) = accumulator.histograms(), accumulator.scores()
    image_ids, row_image = index_images(kept.image_ids)
    table = replace(histogram_table(make_histograms(generator, 2)), image_ids=image_ids, row_image=row_image,
                    row_class=kept.class_ids, counts=kept.counts, thresholds=kept.edges[:-1])  # fmt: skip
    every = np.ones((1, 4))
    assert table.measure(every)[0] == pytest.approx(area.value, rel=1e-12)
    assert replace(table, score="piou").measure(every)[0] == overlap.value


def test_no_pair_has_no_score() -> None:
    table = histogram_table([{}, {}])
    assert np.isnan(table.measure([[1, 1]])).all()
    assert table.measure_classes([[1, 1]]).shape == (1, 0)


def test_shapes_are_checked() -> None:
    table = histogram_table(make_histograms(np.random.default_rng(1), 3))
    with pytest.raises(DataError, match="ascending"):
        replace(table, thresholds=table.thresholds[::-1])
    with pytest.raises(DataError, match="one threshold per column"):
        replace(table, thresholds=table.thresholds[:2])
    with pytest.raises(DataError, match="counts: expected integers"):
        replace(table, counts=table.counts - 100)
