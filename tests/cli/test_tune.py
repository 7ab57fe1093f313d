"""`wsl tune` on the command line: files, table, the command that it names."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from PIL import Image

from tests.made_run import make_run
from wsl.cli.main import main
from wsl.config import load_config

SEARCH = ["--method", "none", "--search", "refine.background=0.2,0.4,0.6,0.9", "--objective", "miou"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("made"))


def test_files_table_and_command(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", "--quiet", str(run), *SEARCH]) == 0
    shown = capsys.readouterr().out
    with (run / "tune" / "table.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 5
    assert float(rows[0]["miou"]) == max(float(row["miou"]) for row in rows)
    best = load_config(str(run / "tune" / "best.yaml"), [])
    assert best.refine.background == float(rows[0]["refine.background"])
    assert best.output == str(run)
    assert best.cam == load_config(str(run / "tune" / "base.yaml"), []).cam
    assert f"wsl run --config {run / 'tune' / 'best.yaml'}" in shown
    assert "flattered (oracle)" in shown
    assert "what mattered" in shown
    assert Image.open(run / "tune" / "importance.png").size[0] == 300
    assert main(["tune", "--quiet", str(run), *SEARCH]) == 0  # all is stored
    assert capsys.readouterr().out == shown


def test_default_search_tries_several_refiners(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--trials", "4", "--images", "3", "--method", "none", "--method", "pamr", "--out", str(tmp_path / "out")]
    assert main(["tune", "--quiet", str(run), *asked]) == 0
    shown = capsys.readouterr().out
    assert "refine.method=pamr" in shown
    assert "no mask or box was looked at" in shown


def test_exit_codes_of_mistakes(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", str(tmp_path)]) == 2
    assert main(["tune", str(run), "seed=1"]) == 2
    assert "tune takes the run's own settings" in capsys.readouterr().err
    assert main(["tune", str(run), "--search", "cam.scales=1,2"]) == 2
    assert main(["tune", str(run), "--objective", "miou", "--split", "test2"]) == 2
    assert "never chosen by the truth of a test split" in capsys.readouterr().err
    assert main(["tune", str(run), "--out", str(run / "cams")]) == 2
