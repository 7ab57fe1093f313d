"""The refine stage as people use it: every refiner, chains, label rules, bands and guides, on tiny drawn data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.drawn import QUICK, draw_voc
from tests.oracles.cam_networks import build_tiny_vit, seeded
from wsl.cli.main import main
from wsl.config import load_config
from wsl.data.label_maps import read_label_map
from wsl.errors import ConfigError, DataError
from wsl.pipeline.guide_files import read_guide
from wsl.pipeline.guides import compute_guide
from wsl.pipeline.label_maker import build_label_maker
from wsl.refine.refiner import REFINERS
from wsl.types import ClassSet

CPU = torch.device("cpu")
BASE = [setting for setting in QUICK if not setting.startswith("refine.")]


@pytest.fixture(scope="module")
def voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_voc(tmp_path_factory.mktemp("voc"))


@pytest.fixture(scope="module")
def seeded_run(voc: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run up to its seeds; refining it with other settings leaves those stages as they are."""
    output = tmp_path_factory.mktemp("run") / "run"
    for stage in ("train", "cams", "seeds"):
        assert main([stage, "--quiet", *BASE, f"data.root={voc}", f"output={output}"]) == 0
    return output


def refine(run: Path, voc: Path, *settings: str) -> int:
    return main(["refine", "--quiet", *BASE, f"data.root={voc}", f"output={run}", *settings])


def labels_of(run: Path) -> dict[str, np.ndarray]:
    return {path.stem: read_label_map(path) for path in sorted((run / "refined").glob("*.png"))}


@pytest.mark.parametrize("method", REFINERS.names())
def test_every_refiner_runs_by_its_name(method: str, seeded_run: Path, voc: Path) -> None:
    assert refine(seeded_run, voc, f"refine.method={method}") == 0
    assert len(labels_of(seeded_run)) == 24


def test_a_chain_is_its_refiners_one_after_the_other(seeded_run: Path, voc: Path) -> None:
    chain = ["refine.method=[pamr,dense_crf]", "refine.options={pamr: {iterations: 3}, dense_crf: {preset: psa}}"]
    assert refine(seeded_run, voc, *chain) == 0
    both = labels_of(seeded_run)
    assert refine(seeded_run, voc, "refine.method=dense_crf", "refine.options={preset: psa}") == 0
    alone = labels_of(seeded_run)
    assert any((both[name] != alone[name]).any() for name in both)
    assert refine(seeded_run, voc, "refine.method=[pamr]", "refine.options={pamr: {iterations: 2}}") == 0
    single = labels_of(seeded_run)
    assert refine(seeded_run, voc, "refine.method=pamr", "refine.options={iterations: 2}") == 0
    for name, labels in labels_of(seeded_run).items():
        np.testing.assert_array_equal(labels, single[name])


def test_options_of_a_chain_are_named_by_refiner(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "refine.method=[pamr,dense_crf]", "refine.options={iterations: 3}", "data.root=x"]) == 2
    assert "expected {refiner: {option: value}}" in capsys.readouterr().err


def test_label_rules_and_corrections_are_applied(seeded_run: Path, voc: Path) -> None:
    rule = ["labels.rule=two_threshold", "labels.options={foreground: 0.5, background: 0.1}"]
    assert refine(seeded_run, voc, "refine.method=none", *rule) == 0
    unsure = labels_of(seeded_run)
    assert any((labels == 255).any() for labels in unsure.values())
    assert refine(seeded_run, voc, "refine.method=none", *rule, "labels.min_area={fish: 99999, kite: 99999}") == 0
    found = {value for labels in labels_of(seeded_run).values() for value in np.unique(labels).tolist()}
    assert found == {0, 3, 255}  # only the leaves have no least area
    assert refine(seeded_run, voc, "refine.method=none", *rule, "labels.ignore_margin=2") == 0
    margins = labels_of(seeded_run)
    assert sum((labels == 255).sum() for labels in margins.values()) > sum(
        (labels == 255).sum() for labels in unsure.values()
    )


def test_classes_are_named_in_label_rules() -> None:
    config = load_config(
        None, ["labels.rule=class_thresholds", "labels.options={thresholds: {cat: 0.5}}", "labels.min_area={dog: 3}"]
    )
    maker = build_label_maker(config, ClassSet(("dog", "cat")))
    assert dict(maker.rule.thresholds) == {2: 0.5}  # type: ignore[attr-defined]
    assert dict(maker.cleaning.min_area) == {1: 3}  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match=r"unknown class 'cat'.*"):
        build_label_maker(config, ClassSet(("dog", "cow")))


def test_guides_are_made_once_by_the_runs_network(seeded_run: Path, voc: Path) -> None:
    walk = ["refine.method=random_walk", "refine.options={preset: psa}"]
    assert refine(seeded_run, voc, *walk) == 0
    guides = sorted((seeded_run / "guides" / "features").glob("*.npy"))
    assert len(guides) == 24
    before = [path.stat().st_mtime_ns for path in guides]
    assert refine(seeded_run, voc, *walk, "refine.background=0.3") == 0
    assert [path.stat().st_mtime_ns for path in guides] == before


def test_edges_must_be_given(seeded_run: Path, voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    walk = ["refine.method=random_walk", "refine.options={preset: irn}"]
    assert refine(seeded_run, voc, *walk) == 2
    assert "wants edges: give refine.guides=DIR" in capsys.readouterr().err
    for image_id in labels_of(seeded_run):
        Image.fromarray(np.zeros((48, 48), np.uint8)).save(tmp_path / f"{image_id}.png")
    assert refine(seeded_run, voc, *walk, f"refine.guides={tmp_path}") == 0
    next(iter(tmp_path.glob("*.png"))).unlink()
    assert refine(seeded_run, voc, *walk, f"refine.guides={tmp_path}", "refine.background=0.31") == 4


def test_bands_of_deep_images_reach_the_colour_kernels(seeded_run: Path, voc: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(seeded_run, run)
    crf = ["refine.method=dense_crf", "refine.options={preset: small_texture}"]
    assert refine(run, voc, *crf) == 0
    rgb = labels_of(run)
    assert refine(run, voc, *crf, "refine.bands=all") == 0
    for name, labels in labels_of(run).items():
        np.testing.assert_array_equal(labels, rgb[name])  # of 8-bit RGB both are the same
    assert json.loads((run / "manifest.json").read_text())["stages"]["refine"]["settings"]["refine"]["bands"] == "all"


def test_bands_are_read_by_whoever_makes_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray((np.arange(12, dtype=np.uint16) * 5000).reshape(3, 4)).save(path)
    maker = build_label_maker(load_config(None, ["refine.bands=all"]))
    bands = maker.read_bands(path)
    assert bands is not None
    assert bands.shape == (3, 4, 1)
    assert build_label_maker(load_config(None, [])).read_bands(path) is None


def test_compare_refuses_a_refiner_that_wants_a_network(
    seeded_run: Path, voc: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    walk = ["refine.method=random_walk", "refine.options={preset: psa}"]
    assert main(["compare", *BASE, f"data.root={voc}", f"output={seeded_run}", *walk, "methods=[cam]"]) == 2
    assert "looks at features of a network: compare has none" in capsys.readouterr().err


def test_attention_of_a_transformer() -> None:
    model = seeded(build_tiny_vit()).eval()
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    attention = compute_guide(model, image, "attention", CPU)
    assert attention.ndim == 3
    assert attention.shape[1] == attention.shape[2]
    np.testing.assert_allclose(attention.astype(np.float32).sum(-1), 1, atol=2e-2)


def test_guide_files_are_read_or_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((2, 3, 4), np.float16))
    assert read_guide(tmp_path, "a", "features").dtype == np.float32
    Image.fromarray(np.full((2, 3), 255, np.uint8)).save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_guide(tmp_path, "b", "edges"), np.ones((2, 3), np.float32))
    with pytest.raises(DataError, match=r"c\.npy: no such file or \.png"):
        read_guide(tmp_path, "c", "edges")


def test_guides_of_another_classifier_are_made_again(seeded_run: Path, voc: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(seeded_run, run)
    walk = ["refine.method=random_walk", "refine.options={preset: seam}"]
    assert refine(run, voc, *walk) == 0
    nested = run / "guides" / "features" / "folder" / "old.npy"
    nested.parent.mkdir()
    np.save(nested, np.zeros((1, 2, 2), np.float16))
    (run / "guides" / "features" / "made_with.json").write_text('{"cams": "another"}')
    assert refine(run, voc, *walk, "refine.background=0.25") == 0
    assert not nested.exists()
    assert len(list((run / "guides" / "features").glob("*.npy"))) == 24
