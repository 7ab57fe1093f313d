"""Every stage on every reader, on tiny drawn data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.drawn import QUICK, draw_voc, to_coco, to_folders, to_table
from wsl.cli.main import main


@pytest.fixture(scope="module")
def voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_voc(tmp_path_factory.mktemp("voc"))


@pytest.fixture(scope="module")
def trained(voc: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; tests copy it before they change anything."""
    output = tmp_path_factory.mktemp("trained") / "run"
    assert main(["run", "--quiet", *QUICK, f"data.root={voc}", f"output={output}"]) == 0
    return output


def scores_of(run: Path) -> dict[str, float | None]:
    return {
        score["name"]: score["value"] for score in json.loads((run / "scores" / "scores.json").read_text())["scores"]
    }


def test_run_leaves_every_result(trained: Path) -> None:
    scores = scores_of(trained)
    for name in (
        "image mAP",
        "CAM mIoU",
        "centre box mIoU",
        "seeds mIoU",
        "refined mIoU",
        "MaxBoxAccV2",
        "CorLoc",
        "box AP",
    ):
        assert scores[name] is not None
        assert 0 <= scores[name] <= 1
    assert len(list((trained / "refined").glob("*.png"))) == 24
    assert len(list((trained / "export" / "voc" / "SegmentationClass").iterdir())) == 24
    assert (trained / "export" / "coco" / "annotations" / "instances.json").exists()
    assert len(list((trained / "overlays").iterdir())) == 2


def test_second_run_does_nothing_and_says_so(trained: Path, voc: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = bytes_of(trained)
    assert main(["run", "--quiet", *QUICK, f"data.root={voc}", f"output={trained}"]) == 0
    assert "Nothing to do" in capsys.readouterr().out
    assert bytes_of(trained) == before


@pytest.mark.parametrize("convert", [to_folders, to_coco, to_table])
def test_every_reader_runs_with_a_given_checkpoint(convert, voc: Path, trained: Path, tmp_path: Path) -> None:
    root = convert(voc, tmp_path / "data")
    checkpoint = f"model.checkpoint={trained / 'train' / 'best.safetensors'}"
    arguments = [*QUICK, f"data.root={root}", f"output={tmp_path / 'run'}", checkpoint]
    assert main(["run", "--quiet", *arguments]) == 0
    assert not (tmp_path / "run" / "train").exists()
    assert scores_of(tmp_path / "run")["refined mIoU"] is not None


def test_same_config_and_seed_give_the_same_bytes(trained: Path, voc: Path, tmp_path: Path) -> None:
    assert main(["run", "--quiet", *QUICK, f"data.root={voc}", f"output={tmp_path / 'again'}"]) == 0
    assert bytes_of(tmp_path / "again") == bytes_of(trained)


def test_each_stage_alone_gives_what_run_gives(trained: Path, voc: Path, tmp_path: Path) -> None:
    arguments = ["--quiet", *QUICK, f"data.root={voc}", f"output={tmp_path / 'run'}"]
    for stage in ("train", "cams", "boxes", "seeds", "refine", "evaluate", "export", "report"):
        assert main([stage, *arguments]) == 0
    assert bytes_of(tmp_path / "run") == bytes_of(trained)


def test_changed_setting_redoes_only_what_depends_on_it(trained: Path, voc: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    maps = {path: path.stat().st_mtime_ns for path in (run / "cams").glob("*.npz")}
    arguments = ["run", "--quiet", *QUICK, f"data.root={voc}", f"output={run}"]
    assert main([*arguments, "seeds.foreground=0.6"]) == 0
    assert {path: path.stat().st_mtime_ns for path in (run / "cams").glob("*.npz")} == maps
    assert scores_of(run)["seeds mIoU"] != scores_of(trained)["seeds mIoU"]
    assert main(arguments) == 0
    assert bytes_of(run) == bytes_of(trained)


def test_training_is_not_overwritten_unasked(trained: Path, voc: Path, tmp_path: Path, capsys) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    arguments = ["run", "--quiet", *QUICK, f"data.root={voc}", f"output={run}", "train.learning_rate=0.01"]
    assert main(arguments) == 2
    message = capsys.readouterr().err
    assert "train.learning_rate" in message
    assert "--overwrite" in message
    assert main([*arguments, "--overwrite"]) == 0


def test_new_image_is_added_and_changed_image_is_done_again(trained: Path, voc: Path, tmp_path: Path) -> None:
    root = shutil.copytree(voc, tmp_path / "data")
    checkpoint = f"model.checkpoint={trained / 'train' / 'best.safetensors'}"
    arguments = ["run", "--quiet", *QUICK, f"data.root={root}", f"output={tmp_path / 'run'}", checkpoint]
    assert main(arguments) == 0
    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "run" / "cams").glob("*.npz")}
    Image.open(root / "JPEGImages" / "val_0001.jpg").rotate(180).save(root / "JPEGImages" / "val_0000.jpg")
    for folder, suffix in (("JPEGImages", ".jpg"), ("SegmentationClass", ".png"), ("Annotations", ".xml")):
        shutil.copy(root / folder / f"val_0001{suffix}", root / folder / f"val_0099{suffix}")
    assert main(arguments) == 0
    now = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "run" / "cams").glob("*.npz")}
    assert {name for name in now if now[name] != times.get(name)} == {"val_0000.npz", "val_0099.npz"}


def test_broken_images_are_recorded_and_the_rest_is_done(trained: Path, voc: Path, tmp_path: Path, capsys) -> None:
    root = shutil.copytree(voc, tmp_path / "data")
    broken = root / "JPEGImages" / "val_0002.jpg"
    broken.write_bytes(broken.read_bytes()[:400])
    checkpoint = f"model.checkpoint={trained / 'train' / 'best.safetensors'}"
    arguments = ["run", "--quiet", *QUICK, f"data.root={root}", f"output={tmp_path / 'run'}", checkpoint]
    assert main(arguments) == 4
    assert "val_0002.jpg" in capsys.readouterr().out
    assert len(list((tmp_path / "run" / "refined").glob("*.png"))) == 23
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert [failure["image_id"] for failure in manifest["stages"]["cams"]["failures"]] == ["val_0002"]
    shutil.copy(voc / "JPEGImages" / "val_0002.jpg", broken)
    assert main(arguments) == 0
    assert len(list((tmp_path / "run" / "refined").glob("*.png"))) == 24


def test_mask_that_does_not_fit_is_a_failure_of_its_image(trained: Path, voc: Path, tmp_path: Path, capsys) -> None:
    root, run = shutil.copytree(voc, tmp_path / "data"), shutil.copytree(trained, tmp_path / "run")
    Image.new("L", (5, 7)).save(root / "SegmentationClass" / "val_0001.png")
    assert main(["evaluate", "--quiet", *QUICK, f"data.root={root}", f"output={run}"]) == 4
    assert "val_0001.png" in capsys.readouterr().out
    assert json.loads((run / "manifest.json").read_text())["stages"]["evaluate"]["counts"]["scored"] == 23
    assert main(["report", "--quiet", *QUICK, f"data.root={root}", f"output={run}", "report.overlays=24"]) == 0


def test_power_background_and_foreign_maps_are_scored(trained: Path, voc: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    foreign = {"scores": np.full((1, 48, 48), 0.7, np.float32), "class_ids": np.array([1])}
    np.savez(run / "cams" / "val_0001.npz", **foreign)
    power = ["seeds.rule=power", "seeds.foreground=2", "seeds.background=8"]
    power += ["refine.background_rule=power", "refine.background=4"]
    assert main(["run", "--quiet", *QUICK, *power, f"data.root={voc}", f"output={run}"]) == 0


def test_two_processes_give_what_one_gives(trained: Path, voc: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    shutil.rmtree(run / "refined")
    assert main(["refine", "--quiet", *QUICK, f"data.root={voc}", f"output={run}", "workers=2"]) == 0
    assert files_of(run / "refined") == files_of(trained / "refined")


def test_bare_images_are_labelled_by_a_classifier_trained_elsewhere(trained: Path, voc: Path, tmp_path: Path) -> None:
    checkpoint = f"model.checkpoint={trained / 'train' / 'best.safetensors'}"
    common = ["run", "--quiet", *QUICK, f"data.root={voc / 'JPEGImages'}", f"output={tmp_path / 'run'}"]
    assert main([*common, checkpoint, "cam.classes=predicted", "cam.class_threshold=0.1"]) == 0
    assert len(list((tmp_path / "run" / "refined").glob("*.png"))) == 24
    exported = json.loads((tmp_path / "run" / "export" / "coco" / "annotations" / "instances.json").read_text())
    assert {category["name"] for category in exported["categories"]} == {"fish", "kite", "leaf"}
    assert exported["annotations"]


def test_stage_alone_refuses_results_of_other_settings(trained: Path, voc: Path, tmp_path: Path, capsys) -> None:
    """No table may mix the results of two settings, and no manifest may claim settings that nothing was made with."""
    run = shutil.copytree(trained, tmp_path / "run")
    arguments = ["--quiet", *QUICK, f"data.root={voc}", f"output={run}"]
    manifest = (run / "manifest.json").read_bytes()
    assert main(["boxes", *arguments, "cam.preset=aligned"]) == 2
    assert "cam.preset" in capsys.readouterr().err
    assert (run / "manifest.json").read_bytes() == manifest
    changed = [*arguments, "seeds.foreground=0.9", "seeds.background=0.8"]
    assert main(["seeds", *changed]) == 0
    assert main(["evaluate", *changed]) == 2
    assert "refine" in capsys.readouterr().err
    assert main(["refine", *changed]) == 0
    assert main(["evaluate", *changed]) == 0
    assert scores_of(run)["seeds mIoU"] != scores_of(trained)["seeds mIoU"]


def test_typo_deletes_nothing(trained: Path, voc: Path, tmp_path: Path, capsys) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    before = bytes_of(run)
    arguments = ["run", "--quiet", *QUICK, f"data.root={voc}", f"output={run}"]
    assert main([*arguments, "model.checkpoint=bst.safetensors"]) == 2
    assert main([*arguments, "cam.method=grad_cam", "cam.layer=net.nolayer"]) == 2
    assert "net.nolayer" in capsys.readouterr().err
    assert {name: content for name, content in bytes_of(run).items() if name != "manifest.json"} == {
        name: content for name, content in before.items() if name != "manifest.json"
    }


def test_failed_first_attempt_can_be_mended(voc: Path, tmp_path: Path) -> None:
    arguments = ["train", "--quiet", *QUICK, f"data.root={voc}", f"output={tmp_path / 'run'}"]
    assert main([*arguments, "model.weights=nowhere.pth"]) == 2
    assert main([*arguments, "model.weights=null"]) == 0


@pytest.mark.parametrize("lost", ["train/best.safetensors", "scores/scores.json", "export/coco"])
def test_lost_results_are_made_again(lost: str, trained: Path, voc: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    path = run / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert main(["run", "--quiet", *QUICK, f"data.root={voc}", f"output={run}"]) == 0
    assert bytes_of(run) == bytes_of(trained)


def test_images_without_box_annotations_are_not_counted_as_empty(trained: Path, voc: Path, tmp_path: Path) -> None:
    root = shutil.copytree(voc, tmp_path / "data")
    for path in sorted((root / "Annotations").iterdir())[::2]:
        path.unlink()
    checkpoint = f"model.checkpoint={trained / 'train' / 'best.safetensors'}"
    assert main(["run", "--quiet", *QUICK, f"data.root={root}", f"output={tmp_path / 'run'}", checkpoint]) == 0
    rows = json.loads((tmp_path / "run" / "scores" / "scores.json").read_text())["scores"]
    assert {row["name"]: row["counts"] for row in rows}["box AP"]["images"] == 12


def test_one_label_for_all_images_is_refused(voc: Path, tmp_path: Path, capsys) -> None:
    shutil.copytree(voc / "JPEGImages", tmp_path / "data" / "crack")
    arguments = ["run", "--quiet", *QUICK, f"data.root={tmp_path / 'data'}", f"output={tmp_path / 'run'}"]
    assert main(arguments) == 3
    assert "different labels" in capsys.readouterr().err


def bytes_of(run: Path) -> dict[str, bytes]:
    """Every file of a run but the lock."""
    return {name: content for name, content in files_of(run).items() if name != ".lock"}


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
