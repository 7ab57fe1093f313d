from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from wsl.data.table import guess_table, read_table
from wsl.errors import ConfigError, DataError
from wsl.types import MaskSource

EXPECTED = [("a", (1, 2)), ("sub/b", (2,)), ("sub/c", ())]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    for name in ("a.jpg", "sub/b.png", "sub/c.png"):
        PIL.Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / name)
    return tmp_path


def labels_of(root: Path, **options: object) -> list[tuple[str, tuple[int, ...] | None]]:
    return [(sample.image_id, sample.class_ids) for sample in read_table(root, **options).samples]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "content",
    [
        "path,labels\na.jpg,x;y\nsub/b.png,y\nsub/c.png,\n",
        "\ufeffFile,Label\r\na.jpg,y|x\r\n\r\nsub\\b.png,y\r\n./sub/c.png,\r\n",
        "image;labels\na.jpg;y|x\nsub/b.png;y\nsub/c.png\n",
        'label\tfilename\n"x; y"\ta.jpg\ny\tsub/b.png\n\tsub/c.png\n',
    ],
)
def test_csv(root: Path, content: str) -> None:
    (root / "list.csv").write_text(content, encoding="utf-8", newline="")
    assert guess_table(root) == "table: list.csv found"
    assert labels_of(root) == EXPECTED
    assert labels_of(root / "list.csv") == EXPECTED
    assert read_table(root).classes.names == ("x", "y")
    assert not read_table(root).single_label
    assert read_table(root).problems == ()


def test_jsonl(root: Path) -> None:
    lines = [
        '{"path": "a.jpg", "labels": ["y", "x"], "mask": "m.png", "split": "train"}',
        '{"path": "sub/b.png", "labels": "y", "split": "val"}',
        "",
        '{"path": "sub/c.png", "labels": [], "split": "val"}',
    ]
    (root / "list.jsonl").write_text("\n".join(lines))
    assert labels_of(root) == EXPECTED
    dataset = read_table(root)
    assert dataset.samples[0].mask == MaskSource("label_map", root / "m.png")
    assert dataset.has_masks
    assert dict(dataset.split_counts) == {"train": 1, "val": 2}


def test_broken_lines_are_left_out(root: Path) -> None:
    lines = ['{"path": "a.jpg", "labels": ["x"]}', "{", "[1]", '{"path": "a.jpg"}', '{"path": 5, "labels": []}']
    (root / "list.jsonl").write_text("\n".join(lines))
    dataset = read_table(root)
    assert len(dataset.samples) == 1
    assert [problem.what.split(":")[0] for problem in dataset.problems] == [
        f"line {n} is left out" for n in (2, 3, 4, 5)
    ]


def test_declared_and_drawn_splits(root: Path) -> None:
    (root / "list.csv").write_text("path,labels,split\na.jpg,x,train\nsub/b.png,x,val\nsub/c.png,y,val\n")
    assert labels_of(root, split="val") == [("sub/b", (1,)), ("sub/c", (2,))]
    with pytest.raises(DataError, match=r"list\.csv: there is no split 'dev'; there are: train, val, all"):
        read_table(root, split="dev")
    (root / "list.csv").write_text("path,labels\na.jpg,x\nsub/b.png,x\nsub/c.png,x\n")
    assert len(labels_of(root, split="val")) == 1
    assert read_table(root).single_label


def test_bad_rows(root: Path) -> None:
    rows = ["a.jpg,x", "a.jpg,x", "gone.jpg,x", "../out.jpg,x", "/etc/passwd,x", "sub/b.png,z", ",x", "sub/c.png,y"]
    (root / "list.csv").write_text("\n".join(["path,labels", *rows, f"{root}/sub/b.png,y"]))
    dataset = read_table(root, classes=("x", "y"))
    assert [sample.image_id for sample in dataset.samples] == ["a", "sub/b", "sub/c"]
    said = [problem.what for problem in dataset.problems]
    for line, part in ((3, "was listed before"), (4, "no such image file"), (5, "outside"), (6, "outside")):
        assert any(what.startswith(f"line {line}: ") and part in what for what in said)
    assert any(what.startswith("line 7: the label 'z' is not in the class list") for what in said)
    assert any(what.startswith("line 8: ") for what in said)
    assert len(said) == 6


def test_a_mask_outside_is_a_problem(root: Path) -> None:
    (root / "list.csv").write_text("path,labels,mask\na.jpg,x,../m.png\nsub/b.png,x,\n")
    dataset = read_table(root)
    assert [sample.image_id for sample in dataset.samples] == ["sub/b"]
    assert "outside" in dataset.problems[0].what


def test_class_names_and_background(root: Path) -> None:
    (root / "list.csv").write_text("path,labels\na.jpg,good\nsub/b.png,y\nsub/c.png,x\n")
    dataset = read_table(root, background_class="good")
    assert dataset.classes.names == ("x", "y")
    assert dataset.samples[0].class_ids == ()
    (root / "classes.txt").write_text("y\nx\ngood\n")
    assert read_table(root).classes.names == ("y", "x", "good")
    with pytest.raises(ConfigError, match="background_class"):
        read_table(root, background_class="bad")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"path,name\na.jpg,x\n", "needs a column labels"),
        ("a.csv", b"", "needs a column path"),
        ("a.csv", b"\xff\xfe\x00", "expected UTF-8"),
        ("a.csv", b"path,labels\na.jpg,\n", "no foreground class"),
        ("a.jsonl", b"\n{\n", "but found none"),
    ],
)
def test_broken_tables(root: Path, name: str, content: bytes, message: str) -> None:
    (root / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_table(root)


def test_none_or_several_tables(root: Path) -> None:
    with pytest.raises(DataError, match="found none"):
        read_table(root)
    for name in ("a.csv", "b.jsonl"):
        (root / name).touch()
    assert guess_table(root) is None
    with pytest.raises(DataError, match=r"found a\.csv, b\.jsonl; give its path"):
        read_table(root)
