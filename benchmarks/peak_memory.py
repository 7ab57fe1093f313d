"""Peak memory of Score-CAM: each side in a process of its own, beyond what the network and one Grad-CAM map take."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks.cam_rows import ONE, SCORE_OPTIONS
from benchmarks.cam_sides import GradCamPeer, Ours, build_network, make_image

BENCH = Path(__file__).with_name("bench_cam_methods.py")


def measure_peak(side_name: str, side: int, channels: int) -> dict[str, float]:
    """In this process: peak in MB before and after Score-CAM of one class."""
    device = torch.device("cpu")
    network, image = build_network(device, channels), make_image(side, device)
    # every import and one map are there before the first reading
    ours, theirs = Ours(network, image), GradCamPeer(network, image)
    ours.maps(["grad_cam"], ONE)
    theirs.maps(["GradCAM"], ONE, ["layer4"])
    before = _peak_mb()
    if side_name == "ours":
        ours.maps(["score_cam"], ONE, options=SCORE_OPTIONS)
    else:
        theirs.maps(["ScoreCAM"], ONE, ["layer4"])
    return {"before_mb": before, "peak_mb": _peak_mb()}


def compare_peaks(side: int, threads: int, channels: int) -> dict[str, Any]:
    """Both sides, one after the other: what each needs beyond its peak before, and our share of the peer's."""
    found = {}
    for name in ("ours", "peer"):
        command = [sys.executable, str(BENCH), "--measure-peak", name, "--heavy-side", str(side)]
        command += ["--threads", str(threads), "--channels", str(channels)]
        lines = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
        measured = json.loads(lines[-1])
        found[f"{name}_mb"] = round(measured["peak_mb"] - measured["before_mb"], 1)
    share = round(found["ours_mb"] / found["peer_mb"], 4) if found["peer_mb"] else None
    return found | {"share": share, "side": side, "channels": channels}


def _peak_mb() -> float:
    # Linux: ru_maxrss of a new process starts with the peak of the one that started it, VmHWM does not.
    status = Path("/proc/self/status")
    if status.is_file():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # macOS: bytes
