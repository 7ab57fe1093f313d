"""PSA (`infer_cls.py --out_cam`): `{class key from 0: (H, W)}`."""

from __future__ import annotations

from functools import partial

from wsl.cam.sources.map_format import MapFormat, find_by_id
from wsl.cam.sources.pickled import read_maps_by_class

FORMAT = MapFormat(".npy", partial(read_maps_by_class, first_key=0), find_by_id(".npy"))
