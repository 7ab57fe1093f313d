from __future__ import annotations

from pathlib import Path

import pytest

from wsl.data.voc_xml import Annotation, NamedBox, read_annotation
from wsl.errors import DataError

BOX = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>"


def write(path: Path, content: str) -> Path:
    path.write_text(f"<annotation>{content}</annotation>")
    return path


def test_objects_and_size(tmp_path: Path) -> None:
    part = "<part><name>head</name>" + BOX.replace("3", "9") + "</part>"
    content = (
        "<filename>../../etc/passwd</filename><size><width>7</width><height>5</height></size>"
        f"<object><name> cat </name><difficult>1</difficult>{part}{BOX}</object><object><name>dog</name>{BOX}</object>"
    )
    expected = (NamedBox("cat", (0, 1, 3, 4), True), NamedBox("dog", (0, 1, 3, 4), False))
    assert read_annotation(write(tmp_path / "a.xml", content)) == Annotation(expected, (5, 7))


def test_no_object_and_unknown_size(tmp_path: Path) -> None:
    assert read_annotation(write(tmp_path / "a.xml", "")) == Annotation(())
    zero = "<size><width>0</width><height>0</height></size>"
    assert read_annotation(write(tmp_path / "b.xml", zero)).size is None
    assert read_annotation(write(tmp_path / "c.xml", zero.replace("0", "x"))).size is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"<object>{BOX}</object>", "an object has no name"),
        ("<object><name>cat</name></object>", "the box of 'cat' needs xmin"),
        (f"<object><name>cat</name>{BOX.replace('1', 'one')}</object>", "as numbers"),
        (f"<object><name>cat</name>{BOX.replace('1', 'nan')}</object>", "is empty"),
        (f"<object><name>cat</name>{BOX.replace('3', '0')}</object>", "is empty"),
        ("<object>", "expected an annotation in XML"),
    ],
)
def test_broken_annotations(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"a\.xml: .*{message}"):
        read_annotation(write(tmp_path / "a.xml", content))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b'<?xml version="1.0" encoding="no-such-code"?><annotation/>',
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><object><name>&x;</name></object></annotation>',
        b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><annotation>&c;</annotation>',
    ],
)
def test_no_xml_and_entities_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.xml").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.xml: expected an annotation in XML"):
        read_annotation(tmp_path / "a.xml")


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such annotation file"):
        read_annotation(tmp_path / "a.xml")
