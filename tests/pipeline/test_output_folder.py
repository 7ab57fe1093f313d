"""Places that are no folder for results are refused, the others are left alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wsl.errors import ConfigError
from wsl.pipeline.output_folder import check_output_folder


def test_a_folder_that_is_there_or_not_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_output_folder(str(tmp_path)) == tmp_path
    assert check_output_folder(str(tmp_path / "a" / "b")) == tmp_path / "a" / "b"
    assert not (tmp_path / "a").exists()
    monkeypatch.chdir(tmp_path)
    assert check_output_folder("here") == Path("here")


@pytest.mark.parametrize("below", [(), ("sub",), ("sub", "more")])
def test_a_file_and_what_would_be_below_it(below: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"output: expected a folder, but .*a\.jpg is a file; choose another"):
        check_output_folder(str(tmp_path.joinpath("a.jpg", *below)))


@pytest.mark.parametrize("name", ["", " "])
def test_no_name(name: str) -> None:
    with pytest.raises(ConfigError, match="output: expected the name of a folder, but got an empty one"):
        check_output_folder(name)


@pytest.mark.parametrize("stage", ["train", "cams", "boxes", "seeds", "refined", "scores", "export", "overlays"])
def test_stage_folders_of_a_run(stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_output_folder(str(tmp_path / stage)) == tmp_path / stage  # any folder may have such a name
    (tmp_path / "manifest.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    for folder in (str(tmp_path / stage), str(tmp_path / stage / "mine"), stage):
        with pytest.raises(ConfigError, match="belongs to the stages of a run; choose another folder"):
            check_output_folder(folder)
    assert check_output_folder(str(tmp_path / "audit")) == tmp_path / "audit"


def test_a_place_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigError, match="cannot be written to; choose another folder"):
        check_output_folder(str(tmp_path / "new"))
