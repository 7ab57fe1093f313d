"""A folder of maps as a whole: which images it fits, its format, its range, its hash."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.oracles.map_hash import digest_places
from wsl.cam.preset import PRESETS
from wsl.cam.pyramid import fuse
from wsl.cam.sources.folder import MapFolder, hash_map_files, open_map_folder, read_maps
from wsl.cam.sources.maps import KEPT
from wsl.errors import ConfigError, DataError
from wsl.types import ClassSet, Sample

CLASSES = ClassSet(("fish", "kite", "leaf"))


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Three images of 8x10 pixels: fish and kite, leaf, nothing."""
    found = []
    for name, class_ids in (("a", (1, 2)), ("b", (3,)), ("c", ())):
        Image.new("RGB", (10, 8)).save(tmp_path / f"{name}.png")
        found.append(Sample(name, tmp_path / f"{name}.png", class_ids))
    return found


def write(folder: Path, name: str, values: np.ndarray) -> None:
    folder.mkdir(exist_ok=True)
    np.save(folder / f"{name}.npy", values)


def opened(folder: Path, samples: list[Sample], given: bool = True, format: str = "auto") -> MapFolder:
    return open_map_folder(folder, format=format, samples=samples, classes=CLASSES, given=given)


def test_normalised_maps_are_kept_and_enlarged(samples: list[Sample], tmp_path: Path) -> None:
    maps = np.random.default_rng(0).random((2, 8, 10)).astype(np.float32)
    write(tmp_path / "m", "a", maps)
    write(tmp_path / "m", "b", np.full((1, 2, 2), 0.25))
    folder = opened(tmp_path / "m", samples)
    assert (folder.format, folder.reason, folder.raw) == ("npy", "a.npy is an array", False)
    stored = read_maps(folder, samples[0], PRESETS["irn"])
    assert stored.preset == KEPT
    np.testing.assert_array_equal(fuse(stored.pyramid, stored.preset).scores, maps)
    small = read_maps(folder, samples[1], PRESETS["irn"])
    np.testing.assert_array_equal(fuse(small.pyramid, small.preset).scores, np.full((1, 8, 10), 0.25, np.float32))


def test_raw_maps_of_a_folder_all_go_through_the_preset(samples: list[Sample], tmp_path: Path) -> None:
    raw = np.zeros((2, 8, 10), np.float32)
    raw[0, 2], raw[0, 3], raw[1, 4] = 10, -10, 5
    write(tmp_path / "m", "a", raw)
    write(tmp_path / "m", "b", np.full((1, 8, 10), 0.5))  # within [0, 1], and yet raw as its folder is
    folder = opened(tmp_path / "m", samples)
    assert folder.raw
    for name in ("irn", "psa", "paper"):
        stored = read_maps(folder, samples[0], PRESETS[name])
        assert stored.preset == replace(PRESETS[name], round_up=1)
        scores = fuse(stored.pyramid, stored.preset).scores
        epsilon = PRESETS[name].epsilon
        np.testing.assert_allclose(scores[0, 2], 10 / (10 + epsilon), rtol=1e-6)
        assert not scores[0, 3].any()
        np.testing.assert_allclose(scores[1, 4], 5 / (5 + epsilon), rtol=1e-6)
    signed = read_maps(folder, samples[0], PRESETS["wsolevaluation"])
    np.testing.assert_allclose(fuse(signed.pyramid, signed.preset).scores[0, 1:4, 0], [0.5, 1, 0], atol=1e-6)
    stored = read_maps(folder, samples[1], PRESETS["paper"])
    np.testing.assert_array_equal(fuse(stored.pyramid, stored.preset).scores, np.ones((1, 8, 10), np.float32))


def test_rounding_is_no_raw_map(samples: list[Sample], tmp_path: Path) -> None:
    write(tmp_path / "m", "b", np.array([[[1.0005, -1e-5]]]))
    folder = opened(tmp_path / "m", samples)
    assert not folder.raw
    assert read_maps(folder, samples[1], PRESETS["irn"]).pyramid.levels[0].tolist() == [[[1, 0]]]


def test_one_raw_map_among_normalised_ones_is_a_failure(samples: list[Sample], tmp_path: Path) -> None:
    write(tmp_path / "m", "a", np.full((2, 2, 2), 0.5))
    write(tmp_path / "m", "b", np.full((1, 2, 2), 7.0))
    folder = replace(opened(tmp_path / "m", samples), raw=False)  # as when b is not among the maps looked at first
    with pytest.raises(DataError, match=r"b\.npy: expected values in \[0, 1\] as in the other maps"):
        read_maps(folder, samples[1], PRESETS["irn"])


def test_labels_choose_among_the_maps_of_all_classes(samples: list[Sample], tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path / "m", name, np.arange(3).reshape(3, 1, 1) / 4)
    folder = opened(tmp_path / "m", samples)
    for sample, expected in zip(samples, ([0, 0.25], [0.5], []), strict=True):
        pyramid = read_maps(folder, sample, PRESETS["irn"]).pyramid
        assert pyramid.class_ids == sample.class_ids
        assert pyramid.levels[0].ravel().tolist() == expected
        assert np.isnan(pyramid.class_scores).all()
    every = opened(tmp_path / "m", samples, given=False)
    assert read_maps(every, samples[2], PRESETS["irn"]).pyramid.class_ids == (1, 2, 3)
    unlabelled = replace(samples[2], class_ids=None)
    assert read_maps(folder, unlabelled, PRESETS["irn"]).pyramid.class_ids == (1, 2, 3)


def test_images_without_objects_need_no_maps_and_others_do(samples: list[Sample], tmp_path: Path) -> None:
    write(tmp_path / "m", "a", np.full((2, 2, 2), 0.5))
    folder = opened(tmp_path / "m", samples)
    assert read_maps(folder, samples[2], PRESETS["irn"]).pyramid.class_ids == ()
    with pytest.raises(DataError, match=r"no map for image 'b' \(format npy\)"):
        read_maps(folder, samples[1], PRESETS["irn"])


def test_maps_of_other_classes_only_are_a_failure(samples: list[Sample], tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    np.savez(tmp_path / "m" / "a.npz", scores=np.zeros((2, 2, 2), np.float32), class_ids=np.array([2, 3]))
    np.savez(tmp_path / "m" / "b.npz", scores=np.zeros((1, 2, 2), np.float32), class_ids=np.array([1]))
    folder = opened(tmp_path / "m", samples)
    assert read_maps(folder, samples[0], PRESETS["irn"]).pyramid.class_ids == (2,)
    with pytest.raises(DataError, match=r"b\.npz: expected maps of the image's classes \(leaf\), but there is none"):
        read_maps(folder, samples[1], PRESETS["irn"])


def test_folders_that_fit_no_image_are_refused(samples: list[Sample], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a folder of score maps, but there is none"):
        opened(tmp_path / "none", samples)
    (tmp_path / "m").mkdir()
    with pytest.raises(ConfigError, match="as for image 'a', but there is no such file"):
        opened(tmp_path / "m", samples)
    write(tmp_path / "m", "a_cam", np.zeros((2, 2, 2)))
    with pytest.raises(ConfigError, match=r"named by image id, as for image 'a', but the first file is 'a_cam\.npy'"):
        opened(tmp_path / "m", samples)
    write(tmp_path / "m", "a", np.zeros((2, 2, 2)))
    np.savez(tmp_path / "m" / "b.npz", scores=np.zeros((1, 2, 2)), class_ids=np.array([3]))
    with pytest.raises(ConfigError, match="expected one format, but found npz and npy"):
        opened(tmp_path / "m", samples)
    assert opened(tmp_path / "m", samples, format="npy").reason == "cam.source_format"


def test_a_broken_map_is_passed_over_but_not_all_of_them(samples: list[Sample], tmp_path: Path) -> None:
    write(tmp_path / "m", "a", np.zeros((2, 2, 2)))
    (tmp_path / "m" / "a.npy").write_bytes(b"broken")
    write(tmp_path / "m", "b", np.full((1, 2, 2), 3.0))
    assert opened(tmp_path / "m", samples).raw
    (tmp_path / "m" / "b.npy").write_bytes(b"broken")
    for format in ("auto", "npy", "irn"):
        with pytest.raises(DataError, match=r"a\.npy: expected an \.npy file"):
            opened(tmp_path / "m", samples, format=format)


def test_the_hash_follows_names_sizes_and_contents(samples: list[Sample], tmp_path: Path) -> None:
    write(tmp_path / "m", "a", np.zeros((2, 8, 10)))
    write(tmp_path / "m", "b", np.zeros((1, 80, 100)))
    folder = opened(tmp_path / "m", samples)
    seen = [hash_map_files(folder)]
    assert seen == [digest_places(tmp_path / "m", ".npy")]
    (tmp_path / "m" / "notes.txt").write_text("not a map")
    (tmp_path / "m").rename(tmp_path / "moved")
    folder = replace(folder, path=tmp_path / "moved")
    assert hash_map_files(folder) == seen[0]
    write(tmp_path / "moved", "b", np.full((1, 80, 100), 0.5))  # same size, other values
    seen.append(hash_map_files(folder))
    (tmp_path / "moved" / "a.npy").rename(tmp_path / "moved" / "d.npy")
    seen.append(hash_map_files(folder))
    (tmp_path / "moved" / "d.npy").unlink()
    seen.append(hash_map_files(folder))
    assert len(set(seen)) == 4
