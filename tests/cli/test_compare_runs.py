"""`wsl compare RUN RUN ...` on finished runs."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from wsl.cli.main import main
from wsl.data.label_maps import write_label_map

NAMES = [f"i{index:02d}" for index in range(24)]


def write_maps(folder: Path, seed: int, noise: float) -> Path:
    """Label maps of blocks, a share of whose pixels is wrong."""
    truth, generator = np.random.default_rng(0), np.random.default_rng(seed)
    for name in NAMES:
        label_map = np.kron(truth.integers(0, 3, (3, 3)), np.ones((6, 6))).astype(np.uint8)
        wrong = generator.random(label_map.shape) < noise
        write_label_map(
            folder / f"{name}.png", np.where(wrong, generator.integers(0, 3, wrong.shape), label_map).astype(np.uint8)
        )
    return folder


@pytest.fixture(scope="module")
def evaluations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    gt = write_maps(root / "gt", 0, 0.0)
    (root / "names.txt").write_text("cat\ndog\n")
    for name, seed, noise in (("good", 1, 0.1), ("good2", 2, 0.1), ("bad", 3, 0.5), ("bad2", 4, 0.5), ("same", 1, 0.1)):
        pred = write_maps(root / "pred" / name, seed, noise)
        words = ["--quiet", "--classes", str(root / "names.txt"), "--output", str(root / name), "--workers", "1"]
        assert main(["evaluate", str(pred), str(gt), *words]) == 0
    return root


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_worse_run_is_found_out(evaluations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(evaluations / name) for name in ("good", "bad", "same")]
    assert main(["compare", *runs, "--output", str(tmp_path / "c.csv"), "--replicates", "300"]) == 0
    shown = capsys.readouterr().out
    assert "mIoU, class" in shown
    assert "on the same 24 images" in shown
    whole = {row["run"]: row for row in rows_of(tmp_path / "c.csv") if row["score"] == "mIoU" and not row["class"]}
    assert whole["good"]["difference"] == ""
    assert float(whole["bad"]["high"]) < 0
    assert whole["bad"]["significant"] == "True"
    assert (float(whole["same"]["difference"]), whole["same"]["significant"]) == (0.0, "False")
    assert {row["class"] for row in rows_of(tmp_path / "c.csv")} == {"", "background", "cat", "dog"}


def test_seeds_are_averaged(evaluations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    groups = [f"{evaluations / 'good'},{evaluations / 'good2'}", f"{evaluations / 'bad'},{evaluations / 'bad2'}"]
    assert main(["compare", *groups, "--score", "mIoU", "--output", str(tmp_path / "c.csv")]) == 0
    shown = capsys.readouterr().out
    assert "good, 2 seeds" in shown
    assert "±" in shown
    assert "standard deviation over seeds" in shown
    rows = [row for row in rows_of(tmp_path / "c.csv") if row["score"] == "mIoU" and not row["class"]]
    assert [row["seeds"] for row in rows] == ["2", "2"]
    assert rows[1]["test"] == "bootstrap"


def test_what_cannot_be_compared_is_told(evaluations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(evaluations / "good")]) == 2
    assert "Expected two or more runs" in capsys.readouterr().err
    assert main(["compare", str(evaluations / "good"), str(evaluations / "good")]) == 2
    assert "the same run is named twice" in capsys.readouterr().err
    assert main(["compare", str(evaluations / "good"), str(evaluations / "bad"), "--score", "mIou"]) == 2
    assert "has no table of 'mIou'. Did you mean: mIoU?" in capsys.readouterr().err
    assert main(["compare", str(evaluations / "good"), str(tmp_path)]) == 3
    assert "expected a run folder or the --output of wsl evaluate" in capsys.readouterr().err
    pred, gt = evaluations / "pred" / "good", evaluations / "gt"
    (tmp_path / "few").mkdir()
    for name in NAMES[:5]:
        (tmp_path / "few" / f"{name}.png").write_bytes((pred / f"{name}.png").read_bytes())
    words = ["--quiet", "--missing", "skip", "--classes", str(evaluations / "names.txt"), "--workers", "1"]
    assert main(["evaluate", str(tmp_path / "few"), str(gt), *words, "--output", str(tmp_path / "part")]) == 0
    assert main(["compare", str(evaluations / "good"), str(tmp_path / "part")]) == 3
    assert "images" in capsys.readouterr().err
    assert main(["compare", str(evaluations / "good"), str(tmp_path / "part"), "--images", "common"]) == 0
    assert "on the same 5 images" in capsys.readouterr().out
    assert (
        main(["evaluate", str(pred), str(gt), "--quiet", "--workers", "1", "--output", str(tmp_path / "nameless")]) == 0
    )
    assert main(["compare", str(evaluations / "good"), str(tmp_path / "nameless")]) == 2
    assert "different classes" in capsys.readouterr().err
