"""Every command of the README runs, in the README's order; the demo runs exactly as written there."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.drawn import QUICK, draw_voc, to_coco, to_folders
from wsl.cli.main import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf8")
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", README, re.S) for line in block.splitlines()]
PARTS = [part.strip() for line in COMMANDS for part in line.split("&&")]
WSL = [part for part in PARTS if part.startswith("wsl ") and part != "wsl demo"]
REAL = [part for part in WSL if "--config" in part and "runs/" not in part]
DRAWN = [part for part in WSL if part not in REAL]
CHANGES_RESULTS = {"run", "seeds", "refine", "cams", "compare"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the names that the README uses."""
    root = tmp_path_factory.mktemp("readme")
    voc = draw_voc(root / "my_voc")
    to_folders(voc, root / "my_images")
    to_coco(voc, root / "my_coco")
    (voc / "JPEGImages").rename(root / "new_images")
    return root


def test_readme_has_the_two_set_up_commands_first() -> None:
    assert COMMANDS[:2] == [
        "python -m pip install . && wsl demo",
        "python -m pip install '.[test]' && python -m pytest",
    ]


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("command", DRAWN)
def test_command(command: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one folder, in order: later commands use the runs of earlier ones. Small settings are added, nothing taken."""
    monkeypatch.chdir(place)
    arguments = shlex.split(command)[1:]
    if arguments[0] in CHANGES_RESULTS and any("=" in value for value in arguments):
        kept = ("model.name", "refine.") if "refine.method" in command else ("model.name",)
        arguments += [value for value in QUICK if not value.startswith(kept)]
        arguments = ["model.name=small_cnn" if value.startswith("model.name=") else value for value in arguments]
    prepare(command, place)
    assert main(arguments) == 0


def prepare(command: str, place: Path) -> None:
    """What a user would have beside the run: label maps of another program, a run on COCO data."""
    if "my_predictions" in command:
        shutil.copytree(place / "my_voc" / "SegmentationClass", place / "my_predictions", dirs_exist_ok=True)
        shutil.copytree(place / "my_voc" / "SegmentationClass", place / "my_label_maps", dirs_exist_ok=True)
    if "my_maps" in command:
        shutil.copytree(place / "runs" / "mine" / "cams", place / "my_maps")
    if "runs/voc" in command:
        coco = [f"data.root={place / 'my_coco'}", f"output={place / 'runs' / 'voc'}"]
        checkpoint = f"model.checkpoint={place / 'runs' / 'mine' / 'train' / 'best.safetensors'}"
        assert main(["run", "--quiet", *QUICK, *coco, checkpoint]) == 0


def test_python_example_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, re.S)
    images = list(np.random.default_rng(0).integers(0, 256, (2, 40, 48, 3), dtype=np.uint8))
    names: dict[str, Any] = {"images": images}
    exec(compile(block, "README", "exec"), names)
    assert names["result"].maps["layer_cam"][0].scores.shape == (2, 40, 48)


@pytest.mark.parametrize("command", REAL)
def test_command_on_real_data(command: str, real_data: Path, tmp_path: Path) -> None:
    """The presets as they are, on a few real images; training is cut short."""
    arguments = shlex.split(command)[1:]
    arguments = [value.replace("data.root=data/", f"data.root={real_data}/data/") for value in arguments]
    small = ["data.limit=3", f"output={tmp_path / 'run'}", "cam.scales=[1.0]", "report.overlays=1"]
    if "coco_mini" not in command:
        small += ["train.epochs=1", "train.image_size=33", "data.val_fraction=0.1", "cam.long_side=97"]
    assert main([*arguments, *small, "--quiet"]) == 0
    assert len(list((tmp_path / "run" / "refined").rglob("*.png"))) == 3


def test_demo_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The order that the demo is for: a centre box < seeds < refined, from image-level labels alone."""
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    shown = capsys.readouterr().out
    rows = json.loads((tmp_path / "runs" / "demo" / "scores" / "scores.json").read_text())["scores"]
    scores = {row["name"]: row["value"] for row in rows}
    assert scores["centre box mIoU"] + 0.05 < scores["seeds mIoU"]
    assert scores["seeds mIoU"] + 0.05 < scores["refined mIoU"]
    assert "refined mIoU" in shown
    assert list((tmp_path / "runs" / "demo" / "overlays").glob("*.png"))
