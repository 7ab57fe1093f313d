"""IRN (`step/make_cam.py`) and what is built on it: `{keys (from 0), cam, high_res}`, one pickled dictionary per image.

`high_res` is taken, the map at the image's size; `cam`, a quarter of it, is normalised by another maximum.
"""

from __future__ import annotations

from functools import partial

from wsl.cam.sources.map_format import MapFormat, find_by_id
from wsl.cam.sources.pickled import read_keyed_maps

FORMAT = MapFormat(".npy", partial(read_keyed_maps, maps="high_res", first_key=0), find_by_id(".npy"))
