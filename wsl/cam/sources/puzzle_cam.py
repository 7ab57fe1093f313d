"""PuzzleCAM (`inference_classification.py`): `{keys, cam, hr_cam}`, one pickled dictionary per image.

Keys count from 1; the first key, 0, is the background's and has no map.
"""

from __future__ import annotations

from functools import partial

from wsl.cam.sources.map_format import MapFormat, find_by_id
from wsl.cam.sources.pickled import read_keyed_maps

FORMAT = MapFormat(".npy", partial(read_keyed_maps, maps="hr_cam", first_key=1), find_by_id(".npy"))
