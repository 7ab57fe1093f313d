"""Tables of docs/comparison.md from the folders that `wsl compare` wrote: the columns that matter, one table per run.

python tools/comparison_tables.py runs/a runs/b > tables.md
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

COLUMNS = {
    "ms per image": "ms",
    "MaxBoxAccV2": "MaxBoxAccV2 ↑",
    "CAM mIoU": "CAM mIoU ↑",
    "refined mIoU": "refined mIoU ↑",
    "pointing": "pointing ↑",
    "energy": "energy ↑",
    "average drop": "drop ↓",
    "insertion": "insertion ↑",
    "deletion": "deletion ↓",
    "ROAD": "ROAD ↑",
    "rank correlation, network": "rank, random net ↓",
}


def write_table(folder: Path) -> str:
    """Markdown of one run: its caption and one row per method that could be measured; the others by name."""
    rows = list(csv.DictReader((folder / "compare" / "compare.csv").open(encoding="utf8")))
    shown = [name for name in COLUMNS if any(row.get(name) for row in rows)]
    done = [row for row in rows if not row["reason"]]
    caption = (folder / "compare" / "compare.md").read_text("utf8").split("\n\n")[0]
    lines = [caption, "", f"| method | options | {' | '.join(COLUMNS[name] for name in shown)} |"]
    lines += ["|---|---" + "|---:" * len(shown) + "|"]
    for row in done:
        lines.append(f"| `{row['method']}` | {row['options']} | {' | '.join(_cell(name, row) for name in shown)} |")
    left_out = ", ".join(f"`{row['method']}`" for row in rows if row["reason"])
    return "\n".join(lines) + (f"\n\nDo not fit this classifier: {left_out}." if left_out else "")


def _cell(name: str, row: dict[str, str]) -> str:
    value = row.get(name)
    if not value:
        return "-"
    return f"{float(value):.0f}" if name == "ms per image" else f"{float(value):.3f}"


if __name__ == "__main__":
    sys.stdout.write("\n\n".join(write_table(Path(folder)) for folder in sys.argv[1:]) + "\n")
