from __future__ import annotations

from pathlib import Path

import pytest

from wsl.errors import DataError
from wsl.evaluate.files.box_files import BoxFile
from wsl.evaluate.files.box_xml import read_box_xml
from wsl.types import Box, ClassSet

CLASSES = ClassSet(("cat", "dog"))
SIZE = "<size><width>40</width><height>30</height><depth>3</depth></size>"


def make_object(name: str = "dog", corners: tuple[float, ...] = (1, 2, 10, 20), more: str = "") -> str:
    sides = "".join(
        f"<{side}>{value}</{side}>" for side, value in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
    )
    return f"<object><name>{name}</name><bndbox>{sides}</bndbox>{more}</object>"


def write(folder: Path, *objects: str) -> Path:
    path = folder / "a.xml"
    path.write_text(f"<annotation>{SIZE}{''.join(objects)}</annotation>")
    return path


def test_reads_boxes_with_and_without_score(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        make_object(),
        make_object("cat", (30, 1, 44, 5), "<confidence>0.25</confidence>"),
        make_object("cat", (5, 5, 5, 5), "<difficult>1</difficult><score> 3 </score>"),
    )
    assert read_box_xml(path, CLASSES).boxes == [
        Box((0.0, 1.0, 10.0, 20.0), 2, 1.0),
        Box((29.0, 0.0, 44.0, 5.0), 1, 0.25),
        Box((4.0, 4.0, 5.0, 5.0), 1, 3.0),
    ]
    assert read_box_xml(write(tmp_path), CLASSES) == BoxFile([], size=(30, 40))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (make_object("dgo"), r"unknown class 'dgo'\. Did you mean: dog"),
        (make_object("background"), "unknown class 'background'"),
        (make_object(more="<score>nan</score>"), "finite number as the score of 'dog', but got 'nan'"),
        (make_object(more="<confidence>high</confidence>"), "finite number as the score"),
        (make_object(corners=(9, 2, 7, 20)), "the box of 'dog' is empty"),
        (make_object(corners=(41, 2, 50, 20)), "outside of the image of 30x40"),
        ("<object>", "expected an annotation in XML, but"),
        ("<object><bndbox/></object>", "an object has no name"),
    ],
)
def test_what_does_not_fit_names_the_file(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"a\.xml: .*{message}"):
        read_box_xml(write(tmp_path, content), CLASSES)


def test_entities_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text('<!DOCTYPE a [<!ENTITY x "y">]><annotation>&x;</annotation>')
    with pytest.raises(DataError, match=r"a\.xml: expected an annotation in XML"):
        read_box_xml(path, CLASSES)
