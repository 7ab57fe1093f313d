from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from wsl.data.label_maps import read_label_map, write_label_map
from wsl.errors import DataError
from wsl.evaluate.files.folders import evaluate_label_map_folders, evaluate_score_map_folder, read_score_map
from wsl.evaluate.segmentation.confusion import Confusion
from wsl.evaluate.segmentation.scores import segmentation_scores
from wsl.evaluate.segmentation.sweep import BackgroundSweep
from wsl.types import ClassSet

CLASSES = ClassSet(("cat", "dog", "cow"))


def write_maps(folder: Path, seed: int, names: tuple[str, ...] = ("a", "b/c")) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    maps = {name: generator.choice(np.array([0, 1, 2, 3, 255], np.uint8), (6, 7)) for name in names}
    for name, label_map in maps.items():
        write_label_map(folder / f"{name}.png", label_map)
    return maps


@pytest.mark.parametrize("classes", [CLASSES, None])
def test_folders_give_the_scores_of_their_arrays(tmp_path: Path, classes: ClassSet | None) -> None:
    truth, predicted = write_maps(tmp_path / "gt", 0), write_maps(tmp_path / "pred", 1)
    confusion = Confusion(3, "exclude")
    for name in truth:
        confusion.update(truth[name], predicted[name])
    expected = segmentation_scores(confusion, CLASSES, "zero")
    scores = evaluate_label_map_folders(tmp_path / "pred", tmp_path / "gt", classes, "exclude", "zero")
    assert [(score.name, score.value) for score in scores] == [(score.name, score.value) for score in expected]
    assert list(scores[0].per_class)[1] == ("cat" if classes else "class 1")
    assert scores[0].counts["images"] == 2


def test_a_missing_prediction_as_background(tmp_path: Path) -> None:
    truth, predicted = write_maps(tmp_path / "gt", 0), write_maps(tmp_path / "pred", 1, ("a", "z"))
    confusion = Confusion(3)
    confusion.update(truth["a"], predicted["a"])
    confusion.update(truth["b/c"], np.zeros((6, 7), np.uint8))
    folders = tmp_path / "pred", tmp_path / "gt"
    scores = evaluate_label_map_folders(*folders, CLASSES, missing="background")
    assert scores[0].value == segmentation_scores(confusion, CLASSES)[0].value
    assert scores[0].counts["images without prediction"] == 1
    assert scores[0].counts["predictions without ground truth"] == 1
    assert evaluate_label_map_folders(*folders, CLASSES, missing="skip")[0].counts["images"] == 1
    with pytest.raises(DataError, match=r"no prediction for 1 of 2 images \(b/c\)"):
        evaluate_label_map_folders(*folders, CLASSES)


def test_errors_name_the_image(tmp_path: Path) -> None:
    write_maps(tmp_path / "gt", 0)
    write_maps(tmp_path / "pred", 0)
    write_label_map(tmp_path / "pred" / "b" / "c.png", np.full((6, 7), 9, np.uint8))
    with pytest.raises(DataError, match=r"b/c: prediction: expected values 0\.\.3 and 255, but found 9"):
        evaluate_label_map_folders(tmp_path / "pred", tmp_path / "gt", CLASSES)
    write_label_map(tmp_path / "pred" / "b" / "c.png", np.zeros((7, 6), np.uint8))
    with pytest.raises(DataError, match="b/c: prediction is 7x6"):
        evaluate_label_map_folders(tmp_path / "pred", tmp_path / "gt")


def test_score_maps_are_swept(tmp_path: Path) -> None:
    truth = write_maps(tmp_path / "gt", 0, ("a", "b/c", "d"))
    generator = np.random.default_rng(2)
    sweep = BackgroundSweep(3, np.arange(100) / 100)
    (tmp_path / "pred" / "b").mkdir(parents=True)
    some, every = generator.random((2, 6, 7)).astype(np.float32), generator.random((3, 6, 7))
    np.savez(tmp_path / "pred" / "a.npz", scores=some, class_ids=np.array([3, 1]))
    np.save(tmp_path / "pred" / "b" / "c.npy", every)
    sweep.update(some, [3, 1], truth["a"])
    sweep.update(every, [1, 2, 3], truth["b/c"])
    sweep.update(np.zeros((0, 6, 7), np.float32), [], truth["d"])
    (score,) = evaluate_score_map_folder(tmp_path / "pred", tmp_path / "gt", missing="background")
    assert (score.value, score.curve, score.threshold) == (
        sweep.best().value,
        sweep.best().curve,
        sweep.best().threshold,
    )


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


def test_voc_masks_against_themselves(real_data: Path, tmp_path: Path) -> None:
    paths = sorted((real_data / "data" / "voc12_masks").glob("*.png"))[:12]
    for path in paths:
        for folder in ("gt", "pred"):
            write_label_map(tmp_path / folder / path.name, read_label_map(path))
    scores = evaluate_label_map_folders(tmp_path / "pred", tmp_path / "gt")
    assert scores[0].value == 1.0
    assert scores[0].counts["pixels without ground truth"] > 0
