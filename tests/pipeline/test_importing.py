"""`cam.source`: a run on maps made elsewhere gives what the run that made them gave."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.drawn import QUICK, draw_voc
from wsl.cam.store import read_score_maps
from wsl.cli.main import main
from wsl.data.label_maps import read_label_map
from wsl.types import ScoreMaps

NAMES = ("fish", "kite", "leaf")


@pytest.fixture(scope="module")
def voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_voc(tmp_path_factory.mktemp("voc"), train=6, val=4)


@pytest.fixture(scope="module")
def made(voc: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run whose maps are converted."""
    output = tmp_path_factory.mktemp("made") / "run"
    assert main(["run", "--quiet", *QUICK, "train.epochs=1", f"data.root={voc}", f"output={output}"]) == 0
    return output


def stem_of(folder: Path, maps: ScoreMaps) -> Path:
    return folder / maps.image_id


def write_npy(folder: Path, maps: ScoreMaps) -> None:
    np.save(stem_of(folder, maps), maps.scores)


def write_npy_of_all_classes(folder: Path, maps: ScoreMaps) -> None:
    every = np.random.default_rng(0).random((3, *maps.size)).astype(np.float32)
    every[[class_id - 1 for class_id in maps.class_ids]] = maps.scores
    np.save(stem_of(folder, maps), every)


def write_npz(folder: Path, maps: ScoreMaps) -> None:
    np.savez(stem_of(folder, maps), scores=maps.scores, class_ids=np.array(maps.class_ids, np.int64))


def write_png(folder: Path, maps: ScoreMaps) -> None:
    for class_id, scores in zip(maps.class_ids, maps.scores, strict=True):
        (folder / maps.image_id).mkdir(exist_ok=True)
        path = folder / maps.image_id / f"{NAMES[class_id - 1]}.png"
        Image.fromarray(np.rint(scores * 65535).astype(np.uint16)).save(path)


def write_irn(folder: Path, maps: ScoreMaps) -> None:
    keys = torch.tensor(maps.class_ids, dtype=torch.int64) - 1
    cam = torch.from_numpy(maps.scores[:, ::4, ::4].copy())
    np.save(stem_of(folder, maps), {"keys": keys, "cam": cam, "high_res": maps.scores})  # type: ignore[arg-type]


def write_psa(folder: Path, maps: ScoreMaps) -> None:
    content = {class_id - 1: each for class_id, each in zip(maps.class_ids, maps.scores, strict=True)}
    np.save(stem_of(folder, maps), content)  # type: ignore[arg-type]


def write_puzzle_cam(folder: Path, maps: ScoreMaps) -> None:
    keys, cam = np.array([0, *maps.class_ids]), torch.from_numpy(maps.scores[:, ::4, ::4].copy())
    np.save(stem_of(folder, maps), {"keys": keys, "cam": cam, "hr_cam": maps.scores})  # type: ignore[arg-type]


def write_clip_es(folder: Path, maps: ScoreMaps) -> None:
    if maps.class_ids:  # the script stops at images without objects
        keys = np.array(maps.class_ids, np.int64) - 1
        np.save(stem_of(folder, maps), {"keys": keys, "attn_highres": maps.scores.astype(np.float16)})  # type: ignore[arg-type]


Writer = Callable[[Path, ScoreMaps], None]
WRITERS: dict[str, tuple[Writer, str, float]] = {
    "npz": (write_npz, "npz", 0),
    "npy": (write_npy, "npy", 0),
    "npy of all classes": (write_npy_of_all_classes, "npy", 0),
    "png": (write_png, "png", 0.001),
    "irn": (write_irn, "irn", 0),
    "psa": (write_psa, "psa", 0),
    "puzzle_cam": (write_puzzle_cam, "puzzle_cam", 0),
    "clip_es": (write_clip_es, "clip_es", 0.01),
}


def convert(made: Path, folder: Path, write: Writer) -> Path:
    folder.mkdir()
    for path in sorted((made / "cams").glob("*.npz")):
        write(folder, read_score_maps(path, path.stem))
    return folder


def arguments_of(voc: Path, source: Path, output: Path) -> list[str]:
    return [
        "run",
        "--quiet",
        *QUICK,
        "report.overlays=1",
        f"data.root={voc}",
        f"output={output}",
        f"cam.source={source}",
    ]


def manifest_of(run: Path) -> dict:
    return json.loads((run / "manifest.json").read_text())


def masks_of(run: Path) -> dict[str, np.ndarray]:
    return {path.name: read_label_map(path) for path in sorted((run / "refined").glob("*.png"))}


def compare_masks(run: Path, made: Path, tolerance: float) -> None:
    found, expected = masks_of(run), masks_of(made)
    assert found.keys() == expected.keys()
    for name, mask in expected.items():
        assert (found[name] != mask).mean() <= tolerance, name


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_masks_of_the_run_that_made_the_maps(
    name: str, voc: Path, made: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write, format, tolerance = WRITERS[name]
    arguments = arguments_of(voc, convert(made, tmp_path / "maps", write), tmp_path / "run")
    arguments.remove("--quiet")
    assert main(arguments) == 0
    compare_masks(tmp_path / "run", made, tolerance)
    assert not (tmp_path / "run" / "train").exists()
    assert "train: skipped, cam.source is given" in caplog.text
    assert f"format {format} (" in caplog.text
    rows = json.loads((tmp_path / "run" / "scores" / "scores.json").read_text())["scores"]
    assert {row["name"] for row in rows} >= {"CAM mIoU", "refined mIoU", "CorLoc"}
    assert "image mAP" not in {row["name"] for row in rows}  # these maps say nothing of whole images
    assert (tmp_path / "run" / "export" / "coco" / "annotations" / "instances.json").exists()


def test_maps_of_a_run_give_its_bytes(voc: Path, made: Path, tmp_path: Path) -> None:
    source = shutil.copytree(made / "cams", tmp_path / "maps")
    assert main(arguments_of(voc, source, tmp_path / "run")) == 0
    for folder in ("cams", "boxes", "refined", "scores"):
        for path in sorted((made / folder).rglob("*")):
            if path.is_file():
                assert (tmp_path / "run" / path.relative_to(made)).read_bytes() == path.read_bytes(), path


def test_unchanged_maps_are_not_imported_again_and_changed_ones_are(
    voc: Path, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = convert(made, tmp_path / "maps", write_npy)
    arguments = arguments_of(voc, source, tmp_path / "run")
    assert main(arguments) == 0
    settings = manifest_of(tmp_path / "run")["stages"]["cams"]["settings"]["cam"]
    assert (settings["source_format"], settings["raw"]) == ("npy", False)
    moved = source.rename(tmp_path / "moved")
    arguments = arguments_of(voc, moved, tmp_path / "run")
    capsys.readouterr()
    assert main(arguments) == 0
    assert "Nothing to do" in capsys.readouterr().out
    name = next(path for path in sorted(moved.iterdir()) if len(np.load(path)))
    np.save(name, 1 - np.load(name))
    assert main(arguments) == 0
    changed = {key for key, mask in masks_of(tmp_path / "run").items() if (mask != masks_of(made)[key]).any()}
    assert changed == {f"{name.stem}.png"}
    assert main([*arguments, "cam.source=null", f"model.checkpoint={made / 'train' / 'best.safetensors'}"]) == 0
    assert masks_of(tmp_path / "run")[f"{name.stem}.png"].tobytes() == masks_of(made)[f"{name.stem}.png"].tobytes()


def test_an_interrupted_import_goes_on(voc: Path, made: Path, tmp_path: Path) -> None:
    arguments = arguments_of(voc, convert(made, tmp_path / "maps", write_irn), tmp_path / "run")
    arguments[0] = "cams"
    assert main(arguments) == 0
    kept = sorted((tmp_path / "run" / "cams").glob("*.npz"))
    before = {path: path.read_bytes() for path in kept}
    kept[0].unlink()
    times = {path: path.stat().st_mtime_ns for path in kept[1:]}
    assert main(arguments) == 0
    assert {path: path.read_bytes() for path in kept} == before
    assert {path: path.stat().st_mtime_ns for path in kept[1:]} == times


def test_images_without_a_map_are_recorded_and_the_rest_is_done(
    voc: Path, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = convert(made, tmp_path / "maps", write_psa)
    names = [path.stem for path in sorted(source.iterdir()) if np.load(path, allow_pickle=True).item()]
    (source / f"{names[0]}.npy").unlink()
    (source / f"{names[1]}.npy").write_bytes(b"broken")
    arguments = arguments_of(voc, source, tmp_path / "run")
    assert main(arguments) == 4
    shown = capsys.readouterr().out
    assert f"no map for image '{names[0]}'" in " ".join(shown.split())
    failures = manifest_of(tmp_path / "run")["stages"]["cams"]["failures"]
    assert [failure["image_id"] for failure in failures] == names[:2]
    assert len(masks_of(tmp_path / "run")) == 8


def test_a_wrong_folder_is_told_before_anything_is_deleted(
    voc: Path, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(made, tmp_path / "run")
    (tmp_path / "maps").mkdir()
    np.save(tmp_path / "maps" / "other.npy", np.zeros((1, 2, 2), np.float32))
    for source, message in (
        (tmp_path / "maps", "the first file is 'other.npy'"),
        (tmp_path / "none", "expected a folder of score maps"),
        (run / "cams", "expected a folder outside of output="),
    ):
        assert main(arguments_of(voc, source, run)) == 2
        assert message in capsys.readouterr().err
    assert masks_of(run).keys() == masks_of(made).keys()
    assert len(list((run / "cams").glob("*.npz"))) == 10


def test_a_malicious_map_is_a_failure_and_nothing_runs(
    voc: Path, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Call:
        def __reduce__(self) -> tuple[object, tuple[str, str]]:
            return (open, (str(tmp_path / "ran"), "w"))

    source = convert(made, tmp_path / "maps", write_irn)
    arguments = arguments_of(voc, source, tmp_path / "run")
    arguments[0] = "cams"
    victim = sorted(source.iterdir())[-1]
    np.save(victim, {"keys": np.array([0]), "high_res": Call()})  # type: ignore[arg-type]
    assert main(arguments) == 4
    assert "which may run code" in " ".join(capsys.readouterr().out.split())
    assert not (tmp_path / "ran").exists()
