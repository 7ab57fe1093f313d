from __future__ import annotations

from pathlib import Path

import pytest

from wsl.data.class_names import VOC_CLASSES, build_class_set, check_background_class, read_class_names
from wsl.errors import ConfigError, DataError


def test_voc_classes_are_in_vocs_order() -> None:
    assert len(VOC_CLASSES) == 20
    assert list(VOC_CLASSES) == sorted(VOC_CLASSES)
    assert VOC_CLASSES[14] == "person"


def test_lists_beside_the_data(tmp_path: Path) -> None:
    assert read_class_names(tmp_path) is None
    (tmp_path / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:128,0,0::\ndog:::\n"
    )
    assert read_class_names(tmp_path) == (("cat", "dog"), "labelmap.txt")
    (tmp_path / "classes.txt").write_text("\ufeffbackground\nzebra\n\n ant \n", encoding="utf-8")
    assert read_class_names(tmp_path) == (("zebra", "ant"), "classes.txt")


@pytest.mark.parametrize(
    ("content", "message"), [(b"a\na\n", "appear twice"), (b"", "has none"), (b"\xff\xfe", "UTF-8")]
)
def test_bad_lists(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "classes.txt").write_bytes(content)
    with pytest.raises(DataError, match=rf"classes\.txt.*{message}"):
        read_class_names(tmp_path)


def test_background() -> None:
    class_set = build_class_set(("a", "free", "b"), "free", Path("root"))
    assert (class_set.names, class_set.background_name) == (("a", "b"), "free")
    assert build_class_set(("background", "a"), None, Path("root")).names == ("a",)
    with pytest.raises(DataError, match="no foreground class"):
        build_class_set(("free",), "free", Path("root"))
    check_background_class(None, ["a"])
    check_background_class("", ["a"])
    check_background_class("a", ["a"])
    with pytest.raises(ConfigError, match="background_class is 'x', but the data set only has: a, b"):
        check_background_class("x", ["b", "a"])
