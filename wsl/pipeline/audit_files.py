"""What an audit leaves: audit.json, audit.csv and pictures of the worst images of each class."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from wsl.data.images import read_image
from wsl.evaluate.localization.energy import OBJECT, PROTOCOL, REGIONS, RULE, judge_energy
from wsl.files import read_json, write_bytes, write_json
from wsl.pipeline.audit_objects import NOTES
from wsl.pipeline.auditing import Audit, Auditor, ClassAudit, ImageAudit
from wsl.pipeline.montage_testing import MontageOutcome
from wsl.pipeline.photomontage import KEPT, LEAST_SCORE, LOST, MontageScores
from wsl.report.audit_figure import AuditCell, draw_audit_figure
from wsl.report.overlay import write_png
from wsl.types import Mask

FOLDER = "audit"
JSON_NAME, CSV_NAME, PICTURES = "audit.json", "audit.csv", "examples"
MONTAGE_NUMBERS = ("score", "foreign", "control", "removed", "empty", "lost", "kept", "energy", "area")


def write_audit(auditor: Auditor, audit: Audit, folder: Path, examples: int) -> None:
    """Writes audit.json, audit.csv and `examples` pictures per class into `folder`; pictures of an earlier audit go."""
    _remove_pictures(folder)
    rows = []
    for rank, each in enumerate(audit.classes, start=1):
        pictures = [
            _write_example(auditor, each, image, folder, number)
            for number, image in enumerate(each.worst(examples), start=1)
        ]
        rows.append({"rank": rank, **class_row(each), "examples": pictures})
    content = {
        "objects": {"kind": audit.objects, "note": NOTES[audit.objects]},
        "rules": {"lost": LOST, "kept": KEPT, "least score": LEAST_SCORE, "energy": RULE},
        "protocol": PROTOCOL,
        "classes": rows,
        "failures": [{"image_id": each.image_id, "message": each.message} for each in audit.failures],
    }
    write_json(folder / JSON_NAME, content)
    write_bytes(folder / CSV_NAME, _csv_text(audit).encode())


def _remove_pictures(folder: Path) -> None:
    """Only those that an earlier audit lists."""
    if not (folder / JSON_NAME).exists():
        return
    before = read_json(folder / JSON_NAME)
    for row in before.get("classes", []) if isinstance(before, dict) else []:
        for example in row.get("examples", []):
            (folder / PICTURES / Path(example["picture"]).name).unlink(missing_ok=True)


def class_row(audit: ClassAudit) -> dict[str, Any]:
    """Everything about one class, for JSON."""
    return {
        "class": audit.name,
        "class_id": audit.class_id,
        "verdict": audit.verdict,
        "images": len(audit.images),
        "images without object": audit.without_object,
        "empty maps": sum(image.shares is None for image in audit.images),
        "energy": _energy_row(audit),
        "montage": _montage_row(audit),
    }


def _energy_row(audit: ClassAudit) -> dict[str, Any] | None:
    shares = audit.shares
    if shares is None:
        return None
    regions = {
        name: {"share": energy, "area": area, "lift": lift}
        for name, energy, area, lift in zip(REGIONS, shares.energy, shares.area, shares.lift, strict=True)
    }
    return {"regions": regions, "contrast": shares.contrast, "verdict": judge_energy(shares)}


def _montage_row(audit: ClassAudit) -> dict[str, Any] | None:
    if audit.montage is None:
        return None
    tested = sum(image.montage is not None for image in audit.images)
    return {"images": tested, "relies on background": audit.relies, **_montage_numbers(audit.montage)}


def _montage_numbers(scores: MontageScores) -> dict[str, float | None]:
    return {name: getattr(scores, name) for name in MONTAGE_NUMBERS}


def _csv_text(audit: Audit) -> str:
    """One row per class; an empty cell = not defined."""
    stream = io.StringIO(newline="")
    table = csv.writer(stream, lineterminator="\n")
    energies = [f"{name} {what}" for name in REGIONS for what in ("share", "area", "lift")]
    montage = [f"montage {name}" for name in MONTAGE_NUMBERS]
    table.writerow(["rank", "class", "verdict", "images", "contrast", *energies, *montage])
    for rank, each in enumerate(audit.classes, start=1):
        shares, scores = each.shares, each.montage
        triples = zip(shares.energy, shares.area, shares.lift, strict=True) if shares else ()
        cells: list[float | None] = [value for triple in triples for value in triple] or [None] * len(energies)
        cells += list(_montage_numbers(scores).values()) if scores else [None] * len(montage)
        contrast = shares.contrast if shares else None
        shown = ["" if cell is None else repr(cell) for cell in (contrast, *cells)]
        table.writerow([rank, each.name, each.verdict, len(each.images), *shown])
    return stream.getvalue()


def _write_example(auditor: Auditor, audit: ClassAudit, image: ImageAudit, folder: Path, number: int) -> dict[str, Any]:
    name = f"class_{audit.class_id:03d}_{number}.png"
    write_png(folder / PICTURES / name, draw_audit_figure(_cells(auditor, audit.class_id, image)))
    shares = image.shares
    return {
        "image_id": image.sample.image_id,
        "picture": f"{PICTURES}/{name}",
        "contrast": shares.contrast if shares else None,
        "energy on object": shares.energy[OBJECT] if shares else None,
        "montage": _montage_numbers(image.montage) if image.montage else None,
    }


def _cells(auditor: Auditor, class_id: int, image: ImageAudit) -> list[AuditCell]:
    """The image with its object outlined, its map, and the montages."""
    picture = read_image(image.sample.image_path)
    maps = auditor.files.read_maps(image.sample.image_id)
    objects = auditor.finder.find(image.sample, maps.size, class_id)
    target = objects.target if objects else None
    score_map = maps.scores[maps.class_ids.index(class_id)]
    share = image.shares.energy[OBJECT] if image.shares else None
    outcome = auditor.test(image.sample, class_id)
    own = f", score {outcome.scores.score:.2f}" if outcome else ""
    cells = [
        AuditCell(f"{auditor.context.classes.name_of(class_id)}{own}", picture, outline=target),
        AuditCell(_map_title(share), picture, score_map, target),
    ]
    return cells + (_montage_cells(outcome, target) if outcome else [])


def _map_title(share: float | None) -> str:
    return "map, empty" if share is None else f"map, {100 * share:.0f} % on object"


def _montage_cells(outcome: MontageOutcome, target: Mask | None) -> list[AuditCell]:
    scores, montages = outcome.scores, outcome.montages
    cells = [
        AuditCell(f"foreign ground {scores.foreign:.2f}", montages.foreign),
        AuditCell(
            f"map, {100 * (scores.energy or 0):.0f} % on object", montages.foreign, outcome.foreign_map[0], target
        ),
    ]
    if montages.control is not None and scores.control is not None:
        cells.append(AuditCell(f"own class's ground {scores.control:.2f}", montages.control))
    cells.append(AuditCell(f"object removed {scores.removed:.2f}", montages.removed))
    return [*cells, AuditCell(f"foreign ground alone {scores.empty:.2f}", montages.empty)]
