"""The cams stage on images that give no usable maps: told one by one, the others are done."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.drawn import QUICK, draw_voc
from wsl.cam.engine import compute_pyramids
from wsl.cam.groups import identity_groups
from wsl.cam.options import CamOptions
from wsl.cam.store import read_pyramid
from wsl.config import load_config
from wsl.data.images import read_image
from wsl.models import build_classifier
from wsl.pipeline.classifiers import ReadyClassifier
from wsl.pipeline.context import Context
from wsl.pipeline.making_maps import make_maps
from wsl.pipeline.run_folder import RunFolder

CPU = torch.device("cpu")


@pytest.fixture
def context(tmp_path: Path) -> Context:
    root = draw_voc(tmp_path / "data", train=5, val=1)
    config = load_config(None, [*QUICK, f"data.root={root}", f"output={tmp_path / 'run'}", "cam.batch_size=3"])
    return Context(config, RunFolder(Path(config.output)))


def ready(context: Context) -> ReadyClassifier:
    model, _ = build_classifier("small_cnn", num_outputs=3, output_stride=8)
    return ReadyClassifier(model, identity_groups(context.classes), "multi")


def test_maps_equal_one_call_per_image_with_norms_unfolded(context: Context) -> None:
    assert make_maps(context, ready(context), CPU) == []
    plain = ready(context)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in plain.model.modules()) == 6
    options = CamOptions(scales=(1.0, 1.5))
    for sample in context.samples:
        found = read_pyramid(context.output("cams", sample.image_id, ".npz"), sample.image_id)
        image = read_image(sample.image_path)
        (expected,) = compute_pyramids(plain.model, [image], ["x"], [sample.class_ids], plain.groups, options)
        assert found.class_ids == expected.class_ids == sample.class_ids
        for first, second in zip(found.levels, expected.levels, strict=True):
            torch.testing.assert_close(torch.from_numpy(first), torch.from_numpy(second), rtol=1e-4, atol=1e-5)


def test_a_class_without_finite_maps_fails_only_its_images(context: Context) -> None:
    broken = ready(context)
    broken.model.net.head.weight.data[0] = torch.nan
    affected = {sample.image_id for sample in context.samples if 1 in (sample.class_ids or ())}
    assert 0 < len(affected) < len(context.samples)
    failures = make_maps(context, broken, CPU)
    assert {failure.image_id for failure in failures} == affected
    assert all("expected finite scores" in failure.message for failure in failures)
    for sample in context.samples:
        assert context.output("cams", sample.image_id, ".npz").exists() == (sample.image_id not in affected)
