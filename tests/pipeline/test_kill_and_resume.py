"""A run that is killed again and again ends with the bytes of one that was not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.drawn import QUICK, draw_voc
from wsl.files import TEMPORARY_PREFIX

# Ends the process like a power cut just before the given file write takes effect: no clean-up runs.
DYING = """
import os, sys
writes, real = [0], os.replace
def replace(source, target):
    writes[0] += 1
    if writes[0] == int(sys.argv[1]):
        os._exit(9)
    return real(source, target)
os.replace = replace
from wsl.cli.main import main
sys.exit(main(sys.argv[2:]))
"""
FIRST_KILL, MORE_EACH_TIME = 11, 6  # the export stage is done as a whole, so the last lives must be longer


def start(kill_at: int, arguments: list[str]) -> int:
    command = [sys.executable, "-c", DYING, str(kill_at), *arguments]
    return subprocess.run(command, capture_output=True, timeout=300).returncode


def test_killed_again_and_again_ends_with_the_same_bytes(tmp_path: Path) -> None:
    voc = draw_voc(tmp_path / "voc", train=10, val=5)
    common = ["run", "--quiet", *QUICK, f"data.root={voc}"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(0, [*common, f"output={whole}"]) == 0
    deaths = 0
    while (code := start(FIRST_KILL + MORE_EACH_TIME * deaths, [*common, f"output={killed}"])) != 0:
        assert code == 9
        deaths += 1
        assert deaths < 12, "the run makes no headway"
    assert deaths >= 5
    assert not list(killed.rglob(TEMPORARY_PREFIX + "*"))
    assert files_of(killed) == files_of(whole)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }
