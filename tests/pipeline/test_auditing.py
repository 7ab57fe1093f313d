"""`wsl audit` end to end: a planted ground is found out, the same drawing without it is not; files and refusals."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.drawn import to_coco
from wsl.cli.main import main
from wsl.data.synthetic import draw_dataset
from wsl.errors import ModelError
from wsl.evaluate.localization.energy import MIXED, ON_BACKGROUND, ON_OBJECT, REGIONS, UNDECIDED
from wsl.pipeline.audit_objects import BOXES, MASKS, PSEUDO_LABELS
from wsl.pipeline.auditing import RELIES, Auditor, ImageAudit, combine_verdicts, open_run
from wsl.types import Sample

CLASSES = ("fish", "kite", "leaf")
SETTINGS = [
    "train.epochs=12", "train.image_size=64", "train.batch_size=16", "cam.scales=[1.0]", "refine.method=none",
    "workers=0", "device=cpu",
]  # fmt: skip


def make_run(folder: Path, planted: dict[str, str]) -> Path:
    """Draws 240 images, trains and makes maps; ten seconds."""
    draw_dataset(
        folder / "data", train=200, val=40, image_size=64, classes=CLASSES, seed=0, max_objects=1, planted=planted
    )
    arguments = ["--quiet", "--config", "demo", *SETTINGS, f"data.root={folder / 'data'}", f"output={folder / 'run'}"]
    for stage in ("train", "cams"):
        assert main([stage, *arguments]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("planted"), {"leaf": "stripe"})


def audit(run: Path, *options: str) -> list[dict]:
    assert main(["audit", "--quiet", str(run), *options]) == 0
    return json.loads((run / "audit" / "audit.json").read_text())["classes"]


def test_planted_ground_is_found_out(planted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leaf = audit(planted, "--examples", "1")[0]
    assert (leaf["class"], leaf["rank"], leaf["verdict"]) == ("leaf", 1, RELIES)
    assert leaf["energy"]["verdict"] == ON_BACKGROUND
    assert leaf["montage"]["lost"] > 0.7
    assert leaf["montage"]["kept"] > 0.7
    assert RELIES in capsys.readouterr().out


def test_the_same_drawing_without_it_is_not(tmp_path: Path) -> None:
    classes = audit(make_run(tmp_path, {}), "--examples", "0")
    assert {each["class"] for each in classes} == set(CLASSES)
    for each in classes:
        assert each["verdict"] in (MIXED, ON_OBJECT)
        assert each["energy"]["contrast"] > 2
        assert abs(each["montage"]["lost"]) < 0.3
        assert abs(each["montage"]["kept"]) < 0.3


def test_files_of_an_audit(planted: Path) -> None:
    classes = audit(planted, "--images", "4", "--examples", "2")
    names = sorted(path.name for path in (planted / "audit" / "examples").iterdir())
    assert names == sorted(f"class_{class_id:03d}_{number}.png" for class_id in (1, 2, 3) for number in (1, 2))
    for each in classes:
        assert each["images"] == 4
        regions = each["energy"]["regions"]
        assert sum(regions[name]["share"] for name in REGIONS) == pytest.approx(1)
        assert sum(regions[name]["area"] for name in REGIONS) == pytest.approx(1)
        contrasts = [example["contrast"] for example in each["examples"]]
        assert contrasts == sorted(contrasts)
        picture = Image.open(planted / "audit" / each["examples"][0]["picture"])
        assert picture.size[0] > 6 * 256
    with (planted / "audit" / "audit.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["class"] for row in rows] == [each["class"] for each in classes]
    assert float(rows[0]["montage foreign"]) == classes[0]["montage"]["foreign"]
    assert float(rows[0]["object share"]) == classes[0]["energy"]["regions"]["object"]["share"]


def test_same_audit_same_bytes_and_fewer_pictures_replace_more(planted: Path, tmp_path: Path) -> None:
    audit(planted, "--images", "3", "--examples", "2")
    audit(planted, "--images", "3", "--examples", "1")
    first = files_of(planted / "audit")
    assert sum(name.endswith(".png") for name in first) == 3
    other = ["--images", "3", "--examples", "1", "--output", str(tmp_path / "other")]
    assert main(["audit", "--quiet", str(planted), *other]) == 0
    assert files_of(tmp_path / "other") == first


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_montage_of_one_image(planted: Path) -> None:
    context = open_run(planted)
    auditor = Auditor(context, montage=True)
    sample = next(sample for sample in context.samples if sample.class_ids == (3,))
    outcome = auditor.test(sample, 3)
    objects = auditor.finder.find(sample, (64, 64), 3)
    assert outcome is not None
    assert objects is not None
    labels = {sample.image_id: sample.class_ids for sample in context.samples}
    assert 3 not in labels[outcome.montages.foreign_id]
    assert labels[outcome.montages.control_id] == (3,)
    assert outcome.montages.control_id != sample.image_id
    away = ~objects.target
    away[np.abs(outcome.montages.foreign.astype(int) - outcome.montages.empty).max(2) == 0] = False
    assert away.sum() < objects.target.sum()  # only the soft edge differs outside the object
    stored = auditor.files.read_maps(sample.image_id)
    assert outcome.scores.score == pytest.approx(float(stored.class_scores[0]), abs=1e-4)
    assert outcome.scores.area == pytest.approx(objects.target.mean())


@pytest.mark.parametrize("kind", [BOXES, PSEUDO_LABELS])
def test_other_objects_when_there_are_no_masks(kind: str, planted: Path, tmp_path: Path) -> None:
    run = shutil.copytree(planted, tmp_path / "run", ignore=shutil.ignore_patterns("audit"))
    data = shutil.copytree(planted.parent / "data", tmp_path / "data")
    if kind == PSEUDO_LABELS:
        shutil.copytree(data / "SegmentationClass", run / "refined")
        as_table(data, tmp_path / "folders")
        data = tmp_path / "folders"
        manifest = json.loads((run / "manifest.json").read_text())
        manifest["config"]["data"].update(format="table", split="all")
        (run / "manifest.json").write_text(json.dumps(manifest))
    else:
        shutil.rmtree(data / "SegmentationClass")
    assert main(["audit", "--quiet", str(run), f"data.root={data}", "--images", "8", "--examples", "0"]) == 0
    found = json.loads((run / "audit" / "audit.json").read_text())
    assert found["objects"]["kind"] == kind
    by_name = {each["class"]: each for each in found["classes"]}
    assert by_name["leaf"]["verdict"] == RELIES
    if kind == PSEUDO_LABELS:
        assert "cannot show" in found["objects"]["note"]
        assert {each["verdict"] for each in found["classes"]} <= {RELIES, UNDECIDED}


def as_table(voc: Path, root: Path) -> None:
    """A table of the val images with their labels and nothing else."""
    shutil.copytree(voc / "JPEGImages", root)
    lines = ["path,labels"]
    for path in sorted((voc / "SegmentationClass").glob("val_*.png")):
        values = np.unique(np.array(Image.open(path)))
        labels = ";".join(CLASSES[value - 1] for value in values if value)
        lines.append(f"{path.stem}.jpg,{labels}")
    (root / "list.csv").write_text("\n".join(lines) + "\n")


def test_broken_image_is_told_and_the_rest_is_audited(planted: Path, tmp_path: Path, capsys) -> None:
    data = shutil.copytree(planted.parent / "data", tmp_path / "data")
    sample = next(sample for sample in open_run(planted).samples if sample.class_ids == (1,))
    (data / "SegmentationClass" / f"{sample.image_id}.png").write_bytes(b"broken")
    arguments = [
        str(planted),
        f"data.root={data}",
        "--examples",
        "0",
        "--no-montage",
        "--output",
        str(tmp_path / "out"),
    ]
    assert main(["audit", "--quiet", *arguments]) == 4
    assert sample.image_id in capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert [failure["image_id"] for failure in found["failures"]] == [sample.image_id]
    assert all(each["montage"] is None for each in found["classes"])


def test_an_image_that_fails_in_any_way_does_not_stop_the_others(
    planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    bad, look = [], Auditor._look

    def fail_first(self: Auditor, sample: Sample, class_id: int) -> ImageAudit | None:
        bad.append(sample.image_id)
        if sample.image_id == bad[0]:
            raise ValueError("odd numbers")
        return look(self, sample, class_id)

    monkeypatch.setattr(Auditor, "_look", fail_first)
    options = ["--no-montage", "--images", "3", "--examples", "0", "--output", str(tmp_path / "out")]
    assert main(["audit", "--quiet", str(planted), *options]) == 4
    assert f"{bad[0]}.jpg: ValueError: odd numbers" in capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert {each["image_id"] for each in found["failures"]} == {bad[0]}
    assert sum(each["images"] for each in found["classes"]) == len(bad) - len(found["failures"])


def test_an_error_of_the_whole_run_stops_it(planted: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def refuse(*_: object) -> None:
        raise ModelError("the network does not fit")

    monkeypatch.setattr(Auditor, "_look", refuse)
    fails(capsys, [str(planted), "--no-montage"], "the network does not fit")


def test_a_broken_map_of_an_image_without_labels_is_told(planted: Path, tmp_path: Path) -> None:
    run = shutil.copytree(planted, tmp_path / "run", ignore=shutil.ignore_patterns("audit"))
    context = open_run(run)
    found = [sample for sample in context.samples if (run / "cams" / f"{sample.image_id}.npz").exists()][:3]
    context.__dict__["samples"] = tuple(dataclasses.replace(sample, class_ids=None) for sample in found)
    (run / "cams" / f"{found[0].image_id}.npz").write_bytes(b"broken")
    audited = Auditor(context, montage=False).audit(3)
    assert [failure.image_id for failure in audited.failures] == [found[0].image_id]
    assert {image.sample.image_id for each in audited.classes for image in each.images} == {
        each.image_id for each in found[1:]
    }


@pytest.mark.parametrize("place", ["cams", "refined/mine"])
def test_stage_folders_are_no_place_for_an_audit(place: str, planted: Path, capsys) -> None:
    before = files_of(planted)
    fails(capsys, [str(planted), "--output", str(planted / place)], "belongs to the stages of a run")
    assert files_of(planted) == before


@pytest.mark.parametrize(
    ("energy", "relies", "objects", "verdict"),
    [
        (ON_OBJECT, True, MASKS, RELIES),
        (ON_BACKGROUND, False, MASKS, ON_BACKGROUND),
        (ON_OBJECT, None, BOXES, ON_OBJECT),
        (ON_OBJECT, False, PSEUDO_LABELS, UNDECIDED),
        (ON_BACKGROUND, True, PSEUDO_LABELS, RELIES),
    ],
)
def test_verdicts_are_combined(energy: str, relies: bool | None, objects: str, verdict: str) -> None:
    assert combine_verdicts(energy, relies, objects) == verdict


def fails(capsys: pytest.CaptureFixture[str], arguments: list[str], *words: str) -> None:
    assert main(["audit", "--quiet", *arguments]) == 2
    message = capsys.readouterr().err
    assert len(message.strip().splitlines()) <= 3
    for word in words:
        assert word in message


def test_what_is_no_run_is_refused_and_nothing_is_made(tmp_path: Path, capsys) -> None:
    fails(capsys, [str(tmp_path / "nowhere")], "expected the folder of a run", "no manifest.json")
    assert not (tmp_path / "nowhere").exists()


def test_run_without_maps_is_refused(planted: Path, tmp_path: Path, capsys) -> None:
    run = shutil.copytree(planted, tmp_path / "run")
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["stages"]["cams"]["state"] = "running"
    (run / "manifest.json").write_text(json.dumps(manifest))
    fails(capsys, [str(run)], "stage 'cams' is not done")


def test_maps_from_elsewhere_have_no_classifier_to_test(planted: Path, tmp_path: Path, capsys) -> None:
    run = shutil.copytree(planted, tmp_path / "run")
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["config"]["cam"]["source"] = "maps"
    (run / "manifest.json").write_text(json.dumps(manifest))
    fails(capsys, [str(run)], "cam.source", "--no-montage")
    assert main(["audit", "--quiet", str(run), "--no-montage", "--images", "2", "--examples", "1"]) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["cam.preset=psa"], ["the run's own settings", "cam.preset=psa"]),
        (["--images", "0"], ["--images", "at least 1"]),
        (["--examples", "-1"], ["--examples", "at least 0"]),
        (["data.root=nowhere"], ["nowhere"]),
    ],
)
def test_bad_options(options: list[str], words: list[str], planted: Path, capsys) -> None:
    code = main(["audit", "--quiet", str(planted), *options])
    assert code == (3 if "data.root=nowhere" in options else 2)
    message = capsys.readouterr().err
    for word in words:
        assert word in message


def test_coco_instances_are_masks(planted: Path, tmp_path: Path) -> None:
    root = to_coco(planted.parent / "data", tmp_path / "coco")
    run = shutil.copytree(planted, tmp_path / "run", ignore=shutil.ignore_patterns("audit"))
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["config"]["data"].update(format="coco", split="all")
    (run / "manifest.json").write_text(json.dumps(manifest))
    options = [f"data.root={root}", "--no-montage", "--images", "5", "--examples", "0"]
    assert main(["audit", "--quiet", str(run), *options]) == 0
    assert json.loads((run / "audit" / "audit.json").read_text())["objects"]["kind"] == MASKS
