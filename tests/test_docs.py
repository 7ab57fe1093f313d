"""The pages in docs/ against the code: tables, quoted messages, links, commands and examples."""

from __future__ import annotations

import ast
import dataclasses
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.drawn import QUICK, draw_voc, to_coco, to_folders, to_table
from wsl.cam.method import METHODS as CAM_METHODS
from wsl.cam.method import list_methods
from wsl.cam.preset import PRESETS as CAM_PRESETS
from wsl.cli.main import STAGE_HELP, main
from wsl.config import CHOICES, Config, as_dict
from wsl.data.label_maps import read_label_map
from wsl.data.reader import list_formats
from wsl.evaluate.files.sources import MISSING
from wsl.evaluate.localization.box_protocols import PROTOCOLS
from wsl.evaluate.metrics import METRICS
from wsl.evaluate.result import PROVENANCES
from wsl.evaluate.segmentation.confusion import ABSENT, BACKGROUND_POLICIES, PREDICTED_IGNORE
from wsl.evaluate.thresholds import WAYS
from wsl.export import EXPORTERS
from wsl.localize.threshold import THRESHOLD_RULES
from wsl.models import list_models
from wsl.pipeline.stages import STAGES
from wsl.refine.presets import PRESETS as CRF_PRESETS
from wsl.refine.refiner import REFINERS
from wsl.refine.walk.constants import PRESETS as WALK_PRESETS
from wsl.seeds.background import BACKGROUND_RULES
from wsl.seeds.label_free import LABEL_FREE_RULES
from wsl.seeds.rules import LABEL_RULES
from wsl.train.settings import AUGMENTATIONS

ROOT = Path(__file__).parent.parent
PAGES = {path.stem: path.read_text("utf8") for path in sorted((ROOT / "docs").glob("*.md"))}
REGISTRIES = {
    "cam.method": list_methods(),
    "cam.preset": sorted(CAM_PRESETS),
    "refine.method": REFINERS.names(),
    "export.formats": EXPORTERS.names(),
    "train.augment": list(AUGMENTATIONS),
    "model.name": ["see methods.md"],
}
Row = list[str]


def list_rows(text: str) -> list[Row]:
    """Cells of every line of every table, headers and rulers left out."""
    lines = text.splitlines()
    rows = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("|") and not line.startswith("|---") and not following.startswith("|---"):
            rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return [[cell.strip("| ") for cell in row] for row in rows]


def find_section(page: str, title: str) -> str:
    """The text from the heading `title` to the next heading."""
    match = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", PAGES[page], re.M | re.S)
    assert match is not None, f"docs/{page}.md has no heading '{title}'"
    return match[1]


def unquote(cell: str) -> str:
    return cell.strip("`")


def list_settings() -> dict[str, Any]:
    """Every key of a configuration with its default."""
    flat: dict[str, Any] = {}
    for key, value in as_dict(Config()).items():
        inner = {f"{key}.{name}": each for name, each in value.items()} if isinstance(value, dict) else {key: value}
        flat |= inner
    return flat


# --- tables ---------------------------------------------------------------------------------------------------------


def test_settings_page_has_every_setting_with_its_default() -> None:
    rows = {unquote(row[0]): yaml.safe_load(unquote(row[1])) for row in list_rows(PAGES["settings"])}
    assert rows == list_settings()


@pytest.mark.parametrize("key", sorted(CHOICES.keys() | REGISTRIES.keys()))
def test_settings_page_lists_the_values(key: str) -> None:
    (row,) = [row for row in list_rows(PAGES["settings"]) if unquote(row[0]) == key]
    assert row[2].split(", ") == list(CHOICES.get(key) or REGISTRIES[key])


def option_rows(method: str) -> dict[str, Any]:
    rows = [row for row in list_rows(find_section("refinement", method)) if len(row) == 3]
    return {unquote(row[0]): yaml.safe_load(unquote(row[1])) for row in rows}


@pytest.mark.parametrize("method", REFINERS.names())
def test_every_option_of_every_refiner_is_listed_with_its_default(method: str) -> None:
    fields = dataclasses.fields(REFINERS.get(method))  # type: ignore[arg-type]
    defaults = {field.name: list(d) if isinstance(d := field.default, tuple) else d for field in fields}
    assert option_rows(method) == defaults


def test_every_refiner_has_a_heading_and_no_heading_is_out_of_date() -> None:
    part = PAGES["refinement"].split("\n## Refiners\n")[1]
    assert sorted(re.findall(r"^### (\w+)$", part, re.M)) == REFINERS.names()


def test_every_cam_method_is_listed() -> None:
    assert sorted(unquote(row[0]) for row in list_rows(find_section("cam_methods", "Table"))) == list_methods()


def test_every_option_of_every_cam_method_is_listed_with_its_default() -> None:
    rows = list_rows(find_section("cam_methods", "Options"))
    found = {(unquote(row[0]), unquote(row[1])): yaml.safe_load(unquote(row[2])) for row in rows}
    methods = {name: dataclasses.fields(CAM_METHODS.get(name)) for name in list_methods()}  # type: ignore[arg-type]
    assert found == {(name, each.name): each.default for name, fields in methods.items() for each in fields}


def preset_rows(text: str, columns: int) -> dict[str, list[Any]]:
    rows = [row for row in list_rows(text) if len(row) == columns]
    return {unquote(row[0]): [yaml.safe_load(cell) for cell in row[1:]] for row in rows}


def test_cam_presets_are_those_of_the_code() -> None:
    fields = {name: list(preset.as_dict().values()) for name, preset in CAM_PRESETS.items()}
    assert preset_rows(find_section("methods", "Presets"), columns=1 + len(CAM_PRESETS["irn"].as_dict())) == fields
    header = " | ".join(CAM_PRESETS["irn"].as_dict())
    assert f"| preset | {header} |" in PAGES["methods"]


def test_crf_presets_are_those_of_the_code() -> None:
    fields = {name: list(dataclasses.asdict(constants).values()) for name, constants in CRF_PRESETS.items()}
    assert preset_rows(find_section("refinement", "dense_crf"), columns=9) == fields
    header = " | ".join(dataclasses.asdict(CRF_PRESETS["irn"]))
    assert f"| preset | {header} |" in PAGES["refinement"]


def test_walk_presets_are_those_of_the_code() -> None:
    fields = {name: list(dataclasses.asdict(constants).values()) for name, constants in WALK_PRESETS.items()}
    columns = 1 + len(fields["irn"])
    assert preset_rows(find_section("refinement", "random_walk"), columns=columns) == fields


def test_label_rules_are_those_of_the_code() -> None:
    rows = {unquote(row[0]): row[1] for row in list_rows(find_section("refinement", "Label rules"))}
    assert sorted(rows) == LABEL_RULES.names()
    for name, shown in rows.items():
        rule = LABEL_RULES.get(name)()
        options = dataclasses.asdict(rule)  # type: ignore[call-overload]
        assert re.findall(r"`(\w+)=([^`]*)`", shown) == [(key, str(value)) for key, value in options.items()]


@pytest.mark.parametrize(
    ("title", "names"),
    [("Boxes", THRESHOLD_RULES.names()), ("Background rules", BACKGROUND_RULES.names())],
)
def test_rules_are_those_of_the_registries(title: str, names: list[str]) -> None:
    assert sorted(unquote(row[0]) for row in list_rows(find_section("methods", title))) == names


def test_every_model_is_named_and_every_named_model_exists() -> None:
    named: set[str] = set()
    for row in list_rows(find_section("methods", "The classifier")):
        words = re.findall(r"`(\w+)`", row[0])
        named |= set(words)
        if "_bn" in words:
            named = (named | {f"{word}_bn" for word in words if word.startswith("vgg")}) - {"_bn"}
        if " to " in row[0]:
            named |= {f"efficientnet_b{number}" for number in range(8)}
    assert named == set(list_models())


def test_formats_stages_policies_and_provenances_are_all_listed() -> None:
    formats = [unquote(row[0]) for row in list_rows(find_section("data_formats", "What is read"))]
    headings = re.findall(r"^### (\w+):", PAGES["data_formats"], re.M)
    assert formats == headings == list_formats()
    assert [unquote(row[0]) for row in list_rows(find_section("run_folder", "Stages and files"))] == list(STAGES)
    provenances = [unquote(row[0]) for row in list_rows(find_section("metrics", "Score maps and thresholds"))]
    rules = [unquote(row[0]) for row in list_rows(find_section("metrics", "Thresholds without ground truth"))]
    assert set(rules[: len(LABEL_FREE_RULES.names())]) == set(LABEL_FREE_RULES.names())
    protocols = [unquote(row[0]) for row in list_rows(find_section("metrics", "MaxBoxAcc"))]
    assert protocols == list(PROTOCOLS)
    assert provenances == list(PROVENANCES)
    policies = find_section("metrics", "mIoU")
    named = (*PREDICTED_IGNORE, *ABSENT, *BACKGROUND_POLICIES, *MISSING)
    assert [name for name in named if f"`{name}`" not in policies] == []


def test_every_metric_is_named() -> None:
    assert [name for name in METRICS.names() if not re.search(rf"\b{name}`", PAGES["metrics"])] == []
    label_maps = [unquote(row[0]) for row in list_rows(find_section("metrics", "Other scores of label maps"))]
    assert label_maps == [name for name in METRICS.in_order() if METRICS.get(name).kind == "label_maps"]


def test_every_way_to_a_threshold_is_named() -> None:
    words = [way.split(":")[0].split("[")[0] for way in WAYS]
    section = find_section("metrics", "Score maps and thresholds")
    assert [word for word in words if f"--threshold {word}" not in section and word != "fixed"] == []


# --- quoted messages ------------------------------------------------------------------------------------------------


def list_literals() -> list[str]:
    """Every text in the code; what an f-string fills in is one character 0."""
    found = []
    for path in sorted((ROOT / "wsl").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf8"))):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(part.value if isinstance(part, ast.Constant) else "\0" for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


LITERALS = list_literals()
QUOTES = re.findall(r"^### `(.*)`$", PAGES.get("troubleshooting", ""), re.M)


def occurs(quote: str) -> bool:
    """Whether some text of the code has all parts of the quote in order; `...` stands for anything."""
    parts = [re.escape(part) for part in re.split(r"\.{3}", quote)]
    pattern = re.compile(".*".join(parts), re.S)
    return any(pattern.search(literal) for literal in LITERALS)


@pytest.mark.parametrize("quote", QUOTES)
def test_quoted_message_is_still_in_the_code(quote: str) -> None:
    assert max(len(part) for part in quote.split("...")) >= 6, "too little is quoted to be found"
    assert occurs(quote)


def test_quotes_are_found_out_when_the_code_changes() -> None:
    assert len(QUOTES) > 50
    assert not occurs("this text was never ... in the code")
    assert occurs("there is no split '...'; there are: ...")


def test_all_headings_of_troubleshooting_are_quotes() -> None:
    assert len(re.findall(r"^### ", PAGES["troubleshooting"], re.M)) == len(QUOTES)
    assert len(set(QUOTES)) == len(QUOTES)


# --- names in running text ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", sorted(PAGES))
def test_settings_that_are_named_exist(page: str) -> None:
    sections = "|".join(field.name for field in dataclasses.fields(Config))
    named = set(re.findall(rf"`((?:{sections})\.\w+)", PAGES[page]))
    named = {name for name in named if not name.endswith((".json", ".csv", ".png", ".npz", ".py", ".safetensors"))}
    assert sorted(named - list_settings().keys()) == []


@pytest.mark.parametrize("page", sorted(PAGES))
def test_links_lead_somewhere(page: str) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", PAGES[page]) + re.findall(r"\b(\w+\.md)\b", PAGES[page])
    missing = [target for target in targets if not (ROOT / "docs" / target).is_file()]
    assert missing == []


# --- commands and examples ------------------------------------------------------------------------------------------


def list_blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page], re.M | re.S)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data sets and the run that the pages speak of."""
    root = tmp_path_factory.mktemp("docs")
    voc = draw_voc(root / "my_voc")
    to_folders(voc, root / "my_folders")
    to_coco(voc, root / "my_coco")
    to_table(voc, root / "my_table")
    shutil.copytree(voc / "JPEGImages", root / "my_images")
    (root / "my_maps").mkdir()
    for path in sorted((voc / "SegmentationClass").iterdir()):
        label_map = read_label_map(path)
        ids = [int(value) for value in np.unique(label_map) if 0 < value < 255]
        scores = np.stack([label_map == value for value in [*ids, 0]]).astype(np.float32)[: len(ids)]
        np.savez(root / "my_maps" / f"{path.stem}.npz", scores=scores, class_ids=np.array(ids, np.int64))
    run = ["run", "--quiet", *QUICK, f"data.root={voc}", f"output={root / 'runs' / 'parts'}"]
    assert main(run) == 0
    return root


def run_command(command: str) -> int:
    """One line of a shell block, with settings that make stages quick."""
    words = shlex.split(command)
    if words[0] == "cp":
        sources = sorted(Path().glob(words[1]))
        assert sources
        for source in sources:
            shutil.copy(source, words[2])
        return 0
    assert words[0] == "wsl", command
    quick = [word for word in QUICK if word.split("=")[0] not in {given.split("=")[0] for given in words}]
    return main([words[1], "--quiet", *words[2:], *(quick if words[1] in STAGE_HELP else [])])


def list_commands(page: str) -> Iterator[str]:
    for block in list_blocks(page, "sh"):
        yield from (line for line in block.splitlines() if line.strip())


@pytest.mark.parametrize("page", sorted(PAGES))
def test_every_command_works(page: str, sandbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sandbox)
    for command in list_commands(page):
        assert run_command(command) == 0, command


@pytest.mark.parametrize("page", sorted(PAGES))
def test_every_python_example_runs(page: str, sandbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sandbox)
    for block in list_blocks(page, "python"):
        exec(compile(block, page, "exec"), {})


@pytest.mark.parametrize("page", sorted(PAGES))
def test_every_yaml_example_is_a_configuration(page: str) -> None:
    from omegaconf import OmegaConf

    for block in list_blocks(page, "yaml"):
        OmegaConf.merge(OmegaConf.structured(Config), yaml.safe_load(block))


def test_there_are_examples_to_run() -> None:
    counts = {kind: sum(len(list_blocks(page, kind)) for page in PAGES) for kind in ("sh", "python", "yaml")}
    assert min(counts.values()) >= 1, counts


def blur(lines: list[str]) -> list[str]:
    """Lines without what depends on the drawing: numbers and bars."""
    return [re.sub(r"\s+", " ", re.sub(r"\d+", "0", re.sub("#+", "", line))).strip() for line in lines]


def test_printed_check_is_what_check_prints(
    sandbox: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(sandbox)
    capsys.readouterr()
    assert main(["check", "--quiet", "my_voc"]) == 0
    shown = re.search(r"^    my_voc: format.*?\n\n", PAGES["data_formats"], re.M | re.S)
    assert shown is not None
    assert blur(shown[0].splitlines()[:-1]) == blur(capsys.readouterr().out.splitlines())


def test_keys_of_the_files_of_a_run_are_described(sandbox: Path) -> None:
    run = sandbox / "runs" / "parts"
    with np.load(run / "cams" / "val_0000.npz", allow_pickle=False) as maps:
        keys = set(maps.files)
    assert [key for key in sorted(keys) if f"`{key}`" not in find_section("run_folder", "cams")] == []
    files = {path.relative_to(run).as_posix() for path in (run / "train").iterdir()}
    assert files == set(re.findall(r"`(train/[\w.]+)`", find_section("run_folder", "Stages and files")))


def test_scores_of_a_run_are_described(sandbox: Path) -> None:
    text = find_section("metrics", "What a run prints").replace("@d", "").replace("@0.5", "")
    scores = json.loads((sandbox / "runs" / "parts" / "scores" / "scores.json").read_text())["scores"]
    names = {re.sub(r"@0\.\d", "", score["name"]) for score in scores}
    assert len(names) > 10
    assert [name for name in sorted(names) if f"`{name}`" not in text] == []
