from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from wsl.errors import DataError
from wsl.evaluate.files.score_map_files import read_map_file, read_score_map


def test_a_foreign_file_has_neither_ranking_nor_views(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", scores=np.ones((2, 3, 4)), class_ids=np.array([3, 1]))
    found = read_map_file(tmp_path / "a.npz")
    assert (found.class_ids, found.ranking, found.views) == ((3, 1), None, ())
    assert found.scores.dtype == np.float32


def test_score_maps_of_another_form_are_refused(tmp_path: Path) -> None:
    scores = np.zeros((2, 3, 3), np.float32)
    np.savez(tmp_path / "no_ids.npz", scores=scores)
    np.savez(tmp_path / "no_scores.npz", maps=scores)
    np.savez(tmp_path / "float_ids.npz", scores=scores, class_ids=np.array([1.0, 2.0]))
    np.save(tmp_path / "flat.npy", scores[0])
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "object.npy").write_bytes(pickle.dumps({"a": 1}))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "no_ids.npz").read_bytes()[:90])
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    for name, message in {
        "no_ids.npz": "expected an array 'class_ids'",
        "no_scores.npz": r"but got arrays \['maps'\]",
        "float_ids.npz": "whole numbers",
        "flat.npy": r"floating \(K, H, W\), but got float32 \(3, 3\)",
        "text.npy": "without Python objects",
        "object.npy": "without Python objects",
        "objects.npy": "without Python objects",
        "cut.npz": "without Python objects",
    }.items():
        with pytest.raises(DataError, match=message):
            read_score_map(tmp_path / name)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".npz", ".npy"])
def test_damaged_score_maps_are_refused_or_read_but_never_crash(tmp_path: Path, suffix: str) -> None:
    generator = np.random.default_rng(0)
    path = tmp_path / f"a{suffix}"
    scores = generator.random((2, 3, 3)).astype(np.float32)
    if suffix == ".npz":
        np.savez_compressed(path, scores=scores, class_ids=np.array([1, 2]))
    else:
        np.save(path, scores)
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    refused = 0
    for _ in range(300):
        damaged = whole.copy()
        damaged[generator.integers(len(whole), size=2)] = generator.integers(256, size=2)
        path.write_bytes(damaged[: generator.integers(1, 2 * len(whole))].tobytes())
        try:
            assert read_score_map(path)[0].ndim == 3
        except DataError as error:
            assert path.name in str(error)  # noqa: PT017
            refused += 1
    assert 100 < refused < 300
