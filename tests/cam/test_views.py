from __future__ import annotations

import numpy as np

from wsl.cam.preset import get_preset
from wsl.cam.pyramid import MapPyramid, fuse
from wsl.cam.views import fuse_with_views


def test_each_scale_is_fused_alone_over_all_layers() -> None:
    generator = np.random.default_rng(0)
    shapes = [(2, 3, 4), (2, 6, 8)] * 2  # layer 0: scales 0 and 1, layer 1: the same
    levels = tuple(generator.random(shape, dtype=np.float32) for shape in shapes)
    pyramid = MapPyramid("a", levels, (1, 3), (20, 24), num_layers=2)
    fused, views = fuse_with_views(pyramid, get_preset("irn"))
    np.testing.assert_array_equal(fused.scores, fuse(pyramid, get_preset("irn")).scores)
    assert [view.shape for view in views] == [(2, 20, 24)] * 2
    alone = MapPyramid("a", (levels[1], levels[3]), (1, 3), (20, 24), num_layers=2)
    np.testing.assert_array_equal(views[1], fuse(alone, get_preset("irn")).scores)
