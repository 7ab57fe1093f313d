from __future__ import annotations

from pathlib import Path

import pytest

from wsl.errors import DataError
from wsl.evaluate.wsol.metadata import MaskPaths, read_wsol_metadata
from wsl.types import Box

BOXES = {
    "image_ids.txt": "b/1.jpeg\na.jpeg",
    "class_labels.txt": "a.jpeg,0\nb/1.jpeg,12",
    "image_sizes.txt": "a.jpeg,500,375\nb/1.jpeg,20,30",
    "localization.txt": "a.jpeg,1,2,30,40\nb/1.jpeg,0,0,5,5\na.jpeg,7,7,8.5,9",
}
MASKS = BOXES | {
    "image_sizes.txt": "",
    "localization.txt": "a.jpeg,a/m1.png,a/ignore.png\na.jpeg,a/m2.png,\nb/1.jpeg,b/m.png,",
}


def write(folder: Path, files: dict[str, str | None]) -> Path:
    for name, text in files.items():
        if text is not None:
            (folder / name).write_text(text)
    return folder


def test_boxes(tmp_path: Path) -> None:
    found = read_wsol_metadata(write(tmp_path, BOXES | {"image_ids_proxy.txt": "a.jpeg"}))
    assert found.image_ids == ("b/1.jpeg", "a.jpeg")
    assert found.class_ids == {"a.jpeg": 1, "b/1.jpeg": 13}
    assert found.sizes == {"a.jpeg": (375, 500), "b/1.jpeg": (30, 20)}  # height first
    assert found.boxes == {
        "b/1.jpeg": (Box((0, 0, 5, 5), 13),),
        "a.jpeg": (Box((1, 2, 30, 40), 1), Box((7, 7, 8.5, 9), 1)),
    }
    assert (found.masks, found.proxy_ids) == ({}, ("a.jpeg",))


def test_masks_without_sizes(tmp_path: Path) -> None:
    found = read_wsol_metadata(write(tmp_path, MASKS))
    assert found.masks == {
        "b/1.jpeg": MaskPaths(("b/m.png",), None),
        "a.jpeg": MaskPaths(("a/m1.png", "a/m2.png"), "a/ignore.png"),
    }
    assert (found.boxes, found.sizes, found.proxy_ids) == ({}, {}, ())


def test_windows_line_ends_and_a_last_newline(tmp_path: Path) -> None:
    plain = read_wsol_metadata(write(tmp_path, BOXES))
    changed = {name: "\ufeff" + text.replace("\n", "\r\n") + "\r\n" for name, text in BOXES.items()}
    assert read_wsol_metadata(write(tmp_path, changed)) == plain


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("image_ids.txt", None, r"image_ids\.txt: no such file"),
        ("image_ids.txt", "\n", r"image_ids\.txt: expected one image id per line, but the file is empty"),
        ("image_ids.txt", "a.jpeg\na.jpeg", r"image_ids\.txt, line 2: image 'a\.jpeg' is listed twice"),
        ("image_ids.txt", "a.jpeg,1", r"image_ids\.txt, line 1: expected 1 fields, but got 2"),
        ("image_ids.txt", "../a.jpeg", r"image_ids\.txt, line 1: .* leads outside"),
        ("image_ids.txt", "/etc/a.jpeg", r"image_ids\.txt, line 1: .* leads outside"),
        ("class_labels.txt", "a.jpeg,0", r"class_labels\.txt: no line for 1 of 2 images, the first is 'b/1\.jpeg'"),
        ("class_labels.txt", "", r"class_labels\.txt: no line for 2 of 2 images"),
        ("class_labels.txt", "a.jpeg,0\nc.jpeg,1", r"class_labels\.txt, line 2: image 'c\.jpeg' is not in image_ids"),
        ("class_labels.txt", "a.jpeg,0\na.jpeg,1", r"class_labels\.txt, line 2: image 'a\.jpeg' has two lines"),
        ("class_labels.txt", "a.jpeg,-1", r"class_labels\.txt, line 1: expected a whole number from 0, but got '-1'"),
        ("class_labels.txt", "a.jpeg", r"class_labels\.txt, line 1: expected 2 fields, but got 1"),
        ("image_sizes.txt", "a.jpeg,500,0", r"image_sizes\.txt, line 1: expected a whole number from 1"),
        ("image_sizes.txt", "a.jpeg,500,375", r"image_sizes\.txt: no line for 1 of 2 images"),
        ("localization.txt", "", r"localization\.txt: no line for 2 of 2 images"),
        ("localization.txt", None, r"localization\.txt: no such file"),
        ("localization.txt", "a.jpeg,1,2", r"localization\.txt: no line for 1 of 2"),
        ("localization.txt", "a.jpeg,1,2,3", r"localization\.txt, line 1: expected 3 or 5 fields, but got 4"),
        ("localization.txt", "a.jpeg,1,2,3,4\nb/1.jpeg,m.png,", r"localization\.txt, line 2: expected 5 fields"),
        ("localization.txt", "a.jpeg,1,2,3,4\nb/1.jpeg,5,2,3,4", r"localization\.txt, line 2: .* x0 <= x1"),
        ("localization.txt", "a.jpeg,1,2,3,4\nb/1.jpeg,5,2,x,4", r"localization\.txt, line 2: .* as numbers"),
        ("localization.txt", "a.jpeg,1,2,3,4\nb/1.jpeg,5,2,nan,4", r"localization\.txt, line 2: .* finite"),
        ("localization.txt", "a.jpeg,../m.png,\nb/1.jpeg,m.png,", r"localization\.txt, line 1: .* leads outside"),
        ("localization.txt", "a.jpeg,m.png,/i.png\nb/1.jpeg,m.png,", r"localization\.txt, line 1: .* leads outside"),
        ("localization.txt", "a.jpeg,m,\na.jpeg,n,i\nb/1.jpeg,m,", r"line 2: the ignore path belongs on the first"),
        (
            "localization.txt",
            "a.jpeg,,i.png\nb/1.jpeg,m.png,",
            r"localization\.txt, line 1: expected the path of a mask",
        ),
        ("image_ids_proxy.txt", "z.jpeg", r"image_ids_proxy\.txt, line 1: image 'z\.jpeg' is not in image_ids"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_wsol_metadata(write(tmp_path, BOXES | {name: text}))


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    write(tmp_path, BOXES)
    (tmp_path / "class_labels.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"class_labels\.txt: expected UTF-8 text"):
        read_wsol_metadata(tmp_path)
