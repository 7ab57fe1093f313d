"""Asks the installed peers for the maps in tests/golden/: small networks and images that are made by formulas.

    python benchmarks/make_golden.py

`peers.npz` holds one array per case of tests/oracles/peer_cases.py, `peers.json` the versions and what was asked.
"""

from __future__ import annotations

import datetime
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.peer_calls import ASK, PEERS, Maps  # noqa: E402
from tests.oracles.peer_cases import CASES, Case  # noqa: E402
from tests.oracles.peer_networks import NETWORKS, images_for  # noqa: E402

GOLDEN = ROOT / "tests" / "golden"


def ask(case: Case) -> Maps:
    """The peer's maps float32 (B, h, w), from a network that nobody else has touched."""
    network, images = NETWORKS[case.network](), images_for(case.network)
    maps = np.asarray(ASK[case.peer](case.theirs, network, images, case.layers, case.output, **case.asked), np.float32)
    if not (np.isfinite(maps).all() and (np.ptp(maps, axis=(1, 2)) > 0).all()):
        raise SystemExit(f"{case.name}: expected finite maps with contrast, nothing can be compared otherwise.")
    return maps


def describe(case: Case) -> dict[str, Any]:
    """What was asked, for the reader of peers.json."""
    return {
        "method": case.theirs,
        "network": case.network,
        "layers": case.layers,
        "output": case.output,
        "asked": case.asked,
    }


def main() -> int:
    """Writes both files; all of them again, so that one run's versions hold for every array."""
    arrays = {case.name: ask(case) for case in CASES}
    GOLDEN.mkdir(exist_ok=True)
    np.savez_compressed(GOLDEN / "peers.npz", **arrays)  # type: ignore[arg-type]
    record = {
        "date": datetime.date.today().isoformat(),
        "versions": {name: version(name) for name in (*PEERS, "torch", "torchvision", "numpy", "scikit-learn")},
        "cases": {case.name: describe(case) for case in CASES},
    }
    (GOLDEN / "peers.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", "utf8")
    print(f"{len(arrays)} maps of {', '.join(PEERS)} written to {GOLDEN}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
