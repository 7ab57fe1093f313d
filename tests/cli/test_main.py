"""The command line: help, exit codes, one clear message for every kind of bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.drawn import QUICK, draw_voc, to_coco
from wsl.cam.preset import PRESETS
from wsl.cam.pyramid import MapPyramid
from wsl.cam.store import write_pyramid
from wsl.cli.main import main
from wsl.models import CheckpointMeta, build_classifier, save_checkpoint


@pytest.fixture(scope="module")
def voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_voc(tmp_path_factory.mktemp("voc"), train=6, val=3)


def fails(capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, *words: str) -> None:
    """The command ends with `code` and one message of at most three lines that has all `words`."""
    assert main(arguments) == code
    message = capsys.readouterr().err.strip()
    assert len(message.splitlines()) <= 3, message
    for word in words:
        assert word in message, message


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from wsl.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "print(sorted({'torch', 'numpy', 'cv2', 'rich', 'omegaconf'} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip().endswith("[]")
    assert "demo" in shown


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["cam.scale=[1]"], ["scale", "Did you mean: 'scales'"]),
        (["nonsense"], ["nonsense", "key=value"]),
        (["seed=x"], ["seed"]),
        (["cam.method=grad_camm"], ["grad_camm", "Did you mean: grad_cam"]),
        (["cam.preset=irm"], ["irm", "irn"]),
        (["refine.method=crf"], ["crf", "dense_crf"]),
        (["refine.options={iteration: 3}"], ["iteration", "Did you mean: iterations"]),
        (["boxes.rule=otsuu"], ["boxes.rule", "otsu"]),
        (["seeds.foreground=0.1", "seeds.background=0.4"], ["foreground"]),
        (["train.epochs=0"], ["train.epochs"]),
        (["device=cuda:77"], ["device"]),
        (["model.name=resnet5o"], ["resnet5o", "resnet50"]),
        (["model.weights=nowhere.pth"], ["nowhere.pth"]),
        (["model.checkpoint=nowhere.safetensors"], ["nowhere.safetensors"]),
        (["export.formats=[vocc]"], ["vocc", "voc"]),
        (["train.freeze=[layer9]"], ["train.freeze", "layer9"]),
        (["refine.background=1.5"], ["1.5"]),
        (["cam.scales=[]"], ["cam.scales"]),
        (["cam.scales=[0]"], ["cam.scales"]),
        (["cam.class_threshold=7"], ["cam.class_threshold"]),
        (["data.limit=0"], ["data.limit"]),
        (["evaluate.sweep_steps=0"], ["evaluate.sweep_steps"]),
    ],
)
def test_bad_settings_are_refused(overrides: list[str], words: list[str], voc: Path, tmp_path: Path, capsys) -> None:
    common = ["run", "--quiet", *QUICK, f"data.root={voc}", f"output={tmp_path / 'run'}"]
    code = main([*common, *overrides])
    message = capsys.readouterr().err.strip()
    assert code in (2, 3), message
    assert len(message.splitlines()) <= 3
    for word in words:
        assert word in message


def test_label_outside_the_class_list_is_a_failure_of_its_image(voc: Path, tmp_path: Path, capsys) -> None:
    common = ["cams", "--quiet", *QUICK, f"data.root={voc}", f"output={tmp_path / 'run'}"]
    checkpoint = tmp_path / "fish.safetensors"
    model, _ = build_classifier("small_cnn", num_outputs=1, output_stride=8)
    meta = CheckpointMeta("small_cnn", 8, "pooled", ("fish",), "background", False, "multi", 48, "0", {})
    save_checkpoint(checkpoint, model, meta)
    assert main([*common, "data.classes=[fish]", f"model.checkpoint={checkpoint}"]) == 4
    assert "kite" in capsys.readouterr().out


def test_missing_root_and_missing_config(capsys, tmp_path: Path) -> None:
    fails(capsys, ["run", "--quiet", f"output={tmp_path / 'a'}"], 2, "data.root")
    fails(capsys, ["run", "--config", "magnetic_tiles"], 2, "magnetic_tiles", "Did you mean: magnetic_tile?")
    fails(capsys, ["run", "--quiet", f"data.root={tmp_path / 'none'}", f"output={tmp_path / 'b'}"], 3, "none")


def test_broken_config_files(capsys, tmp_path: Path) -> None:
    broken, unknown = tmp_path / "broken.yaml", tmp_path / "unknown.yaml"
    broken.write_text("data: [unclosed\n")
    unknown.write_text("data:\n  rot: here\n")
    fails(capsys, ["run", "--config", str(broken)], 2, "broken.yaml")
    fails(capsys, ["run", "--config", str(unknown)], 2, "unknown.yaml", "rot", "root")


def test_broken_checkpoints(capsys, voc: Path, tmp_path: Path) -> None:
    rubbish, pickled = tmp_path / "rubbish.safetensors", tmp_path / "pickled.pth"
    rubbish.write_bytes(b"rubbish")
    import pickle

    pickled.write_bytes(pickle.dumps({"a": Path}))
    common = ["run", "--quiet", *QUICK, f"data.root={voc}", f"output={tmp_path / 'run'}"]
    fails(capsys, [*common, f"model.checkpoint={rubbish}"], 2, "rubbish.safetensors")
    fails(capsys, [*common, f"model.weights={pickled}"], 2, "pickled.pth")


def test_foreign_folder_is_not_touched(capsys, voc: Path, tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    fails(capsys, ["run", "--quiet", *QUICK, f"data.root={voc}", f"output={tmp_path}"], 2, "precious.txt")
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_demo_leaves_other_folders_alone(capsys, voc: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.txt").write_text("mine")
    fails(capsys, ["demo", "--quiet", f"output={tmp_path}"], 2, "data")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["data", "mine.txt"]
    foreign = tmp_path / "data" / "drawn"
    foreign.mkdir()
    fails(capsys, ["demo", "--quiet", f"output={tmp_path / 'data'}"], 2, "other files")


def test_binary_masks_as_truth_are_refused(capsys, tmp_path: Path) -> None:
    for folder, value in (("truth", 255), ("found", 1)):
        (tmp_path / folder).mkdir()
        image = np.zeros((6, 6), np.uint8)
        image[2:4] = value
        Image.fromarray(image).save(tmp_path / folder / "a.png")
    fails(capsys, ["evaluate", "--quiet", str(tmp_path / "found"), str(tmp_path / "truth")], 3, "only 0 and 255")


def test_shown_config_can_be_used_again(capsys, tmp_path: Path) -> None:
    assert main(["config", "--config", "magnetic_tile"]) == 0
    shown = tmp_path / "shown.yaml"
    shown.write_text(capsys.readouterr().out)
    assert "${data.root}" in shown.read_text()
    assert main(["config", "--config", str(shown), "data.root=here"]) == 0


def test_stage_without_the_one_before(capsys, voc: Path, tmp_path: Path) -> None:
    common = ["--quiet", *QUICK, f"data.root={voc}", f"output={tmp_path / 'run'}"]
    fails(capsys, ["seeds", *common], 2, "train", "not done")


def test_check_tells_format_counts_and_problems(capsys, voc: Path, tmp_path: Path) -> None:
    assert main(["check", "--quiet", str(voc)]) == 0
    shown = capsys.readouterr().out
    assert "format voc" in shown
    assert "9 usable images" in shown
    assert "no problems" in shown
    import shutil

    broken = shutil.copytree(voc, tmp_path / "broken")
    (broken / "JPEGImages" / "val_0000.jpg").write_bytes(b"no image")
    Image.fromarray(np.zeros((5, 7), np.uint8)).save(broken / "SegmentationClass" / "val_0001.png")
    (broken / "Annotations" / "val_0002.xml").write_text("<annotation><object>")
    assert main(["check", "--quiet", str(broken)]) == 3
    shown = capsys.readouterr().out
    for name in ("val_0000.jpg", "val_0001.png", "val_0002.xml", "3 problems"):
        assert name in shown


def test_check_of_broken_coco_json(capsys, voc: Path, tmp_path: Path) -> None:
    root = to_coco(voc, tmp_path / "coco")
    path = root / "annotations" / "instances.json"
    path.write_text(path.read_text()[:-40])
    fails(capsys, ["check", "--quiet", str(root)], 3, "instances.json")


def test_evaluate_any_prediction(capsys, voc: Path, tmp_path: Path) -> None:
    masks = voc / "SegmentationClass"
    assert main(["evaluate", "--quiet", str(masks), str(masks), "--output", str(tmp_path)]) == 0
    assert "mIoU" in capsys.readouterr().out
    scores = json.loads((tmp_path / "scores.json").read_text())["scores"]
    assert scores[0]["value"] == 1.0
    assert (tmp_path / "scores.csv").read_text().count("\n") > 2
    fails(capsys, ["evaluate", "--quiet", str(tmp_path / "none"), str(masks)], 3, "none")
    fails(capsys, ["evaluate", "--quiet", str(masks)], 2, "PRED and GT")


def test_class_names_and_our_own_maps_can_be_scored(capsys, voc: Path, tmp_path: Path) -> None:
    names, masks = voc / "classes.txt", voc / "SegmentationClass"
    assert main(["evaluate", "--quiet", str(masks), str(masks), "--classes", str(names)]) == 0
    assert "kite" in capsys.readouterr().out
    for mask in masks.iterdir():
        pyramid = MapPyramid(mask.stem, (np.ones((1, 3, 3), np.float32),), (1,), (48, 48))
        write_pyramid(tmp_path / "cams" / f"{mask.stem}.npz", pyramid, PRESETS["irn"])
    assert main(["evaluate", "--quiet", str(tmp_path / "cams"), str(voc)]) == 0
    assert "oracle" in capsys.readouterr().out


def test_other_method_starts_with_its_own_options(capsys) -> None:
    assert main(["config", "--config", "magnetic_tile", "refine.method=pamr"]) == 0
    assert "options: {}" in capsys.readouterr().out


def test_config_and_info(capsys) -> None:
    assert main(["config", "--list"]) == 0
    assert {"demo", "magnetic_tile", "neu_det", "coco_mini", "voc12_resnet50_irn"} <= set(
        capsys.readouterr().out.split()
    )
    assert main(["config", "--config", "demo", "seed=5"]) == 0
    assert "seed: 5" in capsys.readouterr().out
    assert main(["info"]) == 0
    assert "torch" in capsys.readouterr().out
