from __future__ import annotations

import numpy as np
import pytest

from wsl.evaluate.localization.pixel_histograms import compute_curves, compute_pixel_ap, count_scores, make_edges


@pytest.mark.parametrize("interval", [0.001, 0.01, 0.003, 1 / 49, 0.0001, 0.5])
def test_edges_end_in_the_three_of_the_protocol(interval: float) -> None:
    edges = make_edges(interval)
    assert edges[-3:].tolist() == [1.0, 2.0, 3.0]
    assert (np.diff(edges) > 0).all()


@pytest.mark.parametrize("compiled", ["0", "1"])
@pytest.mark.parametrize("interval", [0.001, 0.01, 0.003, 1 / 49])
def test_scores_on_and_beside_an_edge_fall_as_in_numpy(
    monkeypatch: pytest.MonkeyPatch, compiled: str, interval: float
) -> None:
    monkeypatch.setenv("WSL_COMPILED", compiled)
    edges = make_edges(interval)
    steps = edges[:-2]
    values = np.concatenate([steps, np.nextafter(steps, 0), np.nextafter(steps, 1)])[None]
    labels = np.arange(values.size).reshape(values.shape).astype(np.uint8) % 3
    expected = [np.histogram(values[labels == label], edges)[0] for label in (0, 1)]
    np.testing.assert_array_equal(count_scores(values, labels, edges), expected)
    stretched = (values * 7 - 2 - -2.0) / 7  # not exactly `values`: the same two roundings on both sides
    expected = [np.histogram(stretched[labels == label], edges)[0] for label in (0, 1)]
    np.testing.assert_array_equal(count_scores(values * 7 - 2, labels, edges, -2.0, 7.0), expected)


def test_many_histograms_at_once_are_as_one_after_the_other() -> None:
    counts = np.random.default_rng(0).integers(0, 5, (3, 2, 12))
    counts[1, 1] = 0
    together = compute_pixel_ap(counts)
    assert together.tolist()[0] == float(compute_pixel_ap(counts[0]))
    assert np.isnan(together[1])
    for single, many in zip(compute_curves(counts[2]), compute_curves(counts), strict=True):
        np.testing.assert_array_equal(many[2], single)
