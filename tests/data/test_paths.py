from __future__ import annotations

from pathlib import Path

import pytest

from wsl.data.paths import find_inside, has_images, index_by_stem, list_folders, list_images, to_image_id
from wsl.errors import DataError


def test_listings_are_sorted_and_leave_out_hidden_and_foreign_files(tmp_path: Path) -> None:
    for name in ("b.png", "A.JPG", ".c.png", ".writing-d.png", "e.txt"):
        (tmp_path / name).touch()
    (tmp_path / "z.png").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["A.JPG", "b.png"]
    assert [path.name for path in list_folders(tmp_path)] == ["z.png"]
    assert list_images(tmp_path / "none") == list_folders(tmp_path / "none") == []
    assert has_images(tmp_path)
    assert not has_images(tmp_path / "none")
    assert not has_images(tmp_path / "z.png")


def test_names_stay_inside(tmp_path: Path) -> None:
    assert find_inside(tmp_path, "a/b.jpg") == tmp_path / "a/b.jpg"
    assert find_inside(tmp_path, "a\\b.jpg") == tmp_path / "a/b.jpg"
    assert find_inside(tmp_path, "a/../b.jpg") == tmp_path / "b.jpg"
    assert find_inside(tmp_path, str(tmp_path / "c.jpg")) == tmp_path / "c.jpg"
    assert find_inside(tmp_path / "tables", "../images/a.jpg", tmp_path) == tmp_path / "tables/../images/a.jpg"


@pytest.mark.parametrize(
    "name", ["../a.jpg", "a/../../b.jpg", "/etc/passwd", "..\\a.jpg", "C:\\a.jpg", "", " ", ".", "a\0b"]
)
def test_names_that_lead_outside_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="the file name"):
        find_inside(tmp_path, name)


def test_a_sibling_with_the_same_beginning_is_outside(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="outside"):
        find_inside(tmp_path / "data", "../data2/a.jpg")


def test_same_stem_twice() -> None:
    index, problems = index_by_stem([Path("x/a.jpg"), Path("x/a.png"), Path("x/b.png")])
    assert index == {"a": Path("x/a.jpg"), "b": Path("x/b.png")}
    assert [(problem.path.name, "a.jpg" in problem.what) for problem in problems] == [("a.png", True)]


def test_image_id() -> None:
    assert to_image_id(Path("r/x/a.b.jpg"), Path("r")) == "x/a.b"
