"""CAM methods against pytorch-grad-cam, captum and torch-cam: one row per claim, whole calls, the same maps.

Both sides take an image tensor and a ResNet-50 with the same random weights, and end with float32 maps in [0, 1] at
the input's size. They run in turns in one process; the ratio of each turn is taken, and its median and spread are
told. Memory is the peak of a process of its own.

    python benchmarks/bench_cam_methods.py --save
    python benchmarks/bench_cam_methods.py --rows grad_cam_1,eigen_1 --quick
    python benchmarks/bench_cam_methods.py --device cuda --save
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import torch
from measuring import describe_setting, save_result, summarise

from benchmarks.cam_rows import LAST, ONE, ROWS, Contest, Row, agree
from benchmarks.cam_sides import CHANNELS, CaptumPeer, GradCamPeer, Ours, TorchcamPeer, build_network, make_image
from benchmarks.folder_row import FOLDER_ROWS, run_folder
from benchmarks.peak_memory import compare_peaks, measure_peak

PEER_SIDES = {"grad-cam": GradCamPeer, "captum": CaptumPeer, "torchcam": TorchcamPeer}
MEMORY_ROW = "score_memory"
MEMORY_GOAL = 0.1
QUICK_SIDE, QUICK_CHANNELS = 64, 48


def race(
    ours: Callable[[], Any], theirs: Callable[[], Any], repeats: int, device: torch.device
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Seconds of both, in turns whose order changes; and what each gave last, as "ours" and "peer"."""
    sides, results = {"ours": ours, "peer": theirs}, {}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(repeats):
        for name in sides if repeat % 2 else reversed(sides):
            synchronise(device)
            began = time.perf_counter()
            results[name] = sides[name]()
            synchronise(device)
            seconds[name].append(time.perf_counter() - began)
    ratios = [peer / our for our, peer in zip(seconds["ours"], seconds["peer"], strict=True)]
    return {"ratio": summarise(ratios), "seconds": {name: summarise(each) for name, each in seconds.items()}}, results


def synchronise(device: torch.device) -> None:
    """Waits for the accelerator."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def run_contest(row: Row, contest: Contest, given: argparse.Namespace) -> dict[str, Any]:
    """The race, after a call of each to warm up, and the agreement of its maps."""
    device = torch.device(given.device)
    side = QUICK_SIDE if given.quick else given.heavy_side if row.heavy else given.side
    channels = QUICK_CHANNELS if given.quick and row.heavy else CHANNELS
    network, image = build_network(device, channels), make_image(side, device)
    ours, theirs = Ours(network, image), PEER_SIDES[contest.peer](network, image)
    if row.heavy:
        ours.maps(["grad_cam"], ONE)
        theirs.maps(["GradCAM"], ONE, LAST)
    else:
        contest.ours(ours)
        contest.theirs(theirs)
    repeats = given.heavy_repeats if row.heavy else given.repeats
    found, maps = race(lambda: contest.ours(ours), lambda: contest.theirs(theirs), repeats, device)
    compared = maps["ours"] if contest.compare_with is None else contest.compare_with(ours)
    found["agreement"] = agree(contest, compared, maps["peer"])
    return found | {"side": side, "channels": channels, "goal": contest.goal}


def main() -> int:
    """Runs the chosen rows; exit code 1 when maps do not agree."""
    given = parse_arguments()
    warnings.filterwarnings("ignore", module="pytorch_grad_cam|captum|torchcam")
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(given.threads)
    if given.measure_peak:
        print(json.dumps(measure_peak(given.measure_peak, given.heavy_side, given.channels)))
        return 0
    result: dict[str, Any] = describe_setting(("grad-cam", "captum", "torchcam", "scikit-learn"))
    result |= {"settings": {key: value for key, value in vars(given).items() if key != "measure_peak"}, "rows": {}}
    if given.device == "cuda":
        result["gpu"] = torch.cuda.get_device_name()
    print(
        f"{result['date']}, {result.get('gpu', result['cpu'])}, {given.threads} threads, load {result['load_at_start']}"
    )
    print(", ".join(f"{name} {version}" for name, version in result["versions"].items()))
    run_rows(given, result)
    if given.save:
        name = "bench_cam_methods" + ("_cuda" if given.device == "cuda" else "")
        result["rows"] = read_other_rows(name, result) | result["rows"]
        print("saved", save_result(name, result))
    return 0 if all(each["agreement"]["agree"] for each in _contests(result) if "agreement" in each) else 1


def run_rows(given: argparse.Namespace, result: dict[str, Any]) -> None:
    """Fills result["rows"] and tells each line when it is there."""
    rows = {row.name: row for row in ROWS}
    for name in given.rows:
        if name == MEMORY_ROW:
            found = compare_peaks(given.heavy_side, given.threads, given.channels) | {"goal": MEMORY_GOAL}
            result["rows"][name] = {"work": "Score-CAM, peak memory", "contests": {"grad-cam": found}}
            tell_memory(found)
        elif name in FOLDER_ROWS:
            found = run_folder(
                given.images, given.repeats, given.quick, torch.device(given.device), race, FOLDER_ROWS[name]
            )
            work = f"score maps of a folder, four scales and flips, {FOLDER_ROWS[name]}"
            result["rows"][name] = {"work": work, "contests": {"IRN-style script": found}}
            tell(work, "IRN-style script", found)
        else:
            row = rows[name]
            contests = {}
            for contest in row.contests:
                contests[contest.peer] = run_contest(row, contest, given)
                tell(row.work, contest.peer, contests[contest.peer])
            result["rows"][name] = {"work": row.work, "note": row.note, "contests": contests}


def read_other_rows(name: str, result: dict[str, Any]) -> dict[str, Any]:
    """Rows that an earlier run stored with the same versions on the same kind of machine."""
    path = Path(__file__).parent / "results" / f"{name}.json"
    stored = json.loads(path.read_text("utf8")) if path.is_file() else {}
    same = all(stored.get(key) == result[key] for key in ("versions", "cpu"))
    return dict(stored["rows"]) if same else {}


def _contests(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [contest for row in result["rows"].values() for contest in row["contests"].values()]


def tell(work: str, peer: str, found: dict[str, Any]) -> None:
    """One line of the table, and what the maps have in common."""
    ratio, seconds, agreement = found["ratio"], found["seconds"], found["agreement"]
    goal = f", goal {found['goal']}" if found["goal"] else ""
    print(
        f"{work}, {peer}: {ratio['median']:.2f} times as fast ({ratio['min']:.2f} to {ratio['max']:.2f}){goal}; "
        f"{seconds['ours']['median'] * 1000:.1f} ms, peer {seconds['peer']['median'] * 1000:.1f} ms",
        flush=True,
    )
    difference = agreement.get("largest_difference")
    told = [f"correlation {agreement['correlation']:.4f}"] + (
        [f"difference {difference:.1e}"] if difference is not None else []
    )
    verdict = "agree" if agreement["agree"] else "DO NOT AGREE"
    print(f"    {verdict}: {', '.join(told)}{'; ' + agreement['reason'] if 'reason' in agreement else ''}", flush=True)


def tell_memory(found: dict[str, Any]) -> None:
    """Peaks beyond the loaded network."""
    print(
        f"Score-CAM, {found['channels']} channels, {found['side']} pixels, peak memory: {found['ours_mb']:.0f} MB, "
        f"peer {found['peer_mb']:.0f} MB: {found['share']:.3f} of it, goal {found['goal']}",
        flush=True,
    )


def parse_arguments() -> argparse.Namespace:
    """The command line; --rows as a list of known names."""
    known = [row.name for row in ROWS] + [MEMORY_ROW, *FOLDER_ROWS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=lambda text: text.split(","), default=known, help=", ".join(known))
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--heavy-repeats", type=int, default=1, help="of rows with thousands of forward passes")
    parser.add_argument("--side", type=int, default=224, help="of the image, in pixels")
    parser.add_argument(
        "--heavy-side", type=int, default=112, help="of the image in rows with thousands of forward passes"
    )
    parser.add_argument(
        "--channels", type=int, default=2048, help="of Score-CAM's peak memory; fewer only to try it out"
    )
    parser.add_argument("--images", type=int, default=4, help="of the folder")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--quick", action="store_true", help="small images, to see that it runs; the ratios mean nothing"
    )
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/bench_cam_methods.json")
    parser.add_argument("--measure-peak", choices=("ours", "peer"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    unknown = [row for row in given.rows if row not in known]
    if unknown:
        parser.error(f"--rows: expected names of {', '.join(known)}, but got {', '.join(unknown)}")
    return given


if __name__ == "__main__":
    sys.exit(main())
