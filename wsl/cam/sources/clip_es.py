"""CLIP-ES (`generate_cams_voc12.py`): `{keys (from 0), attn_highres}`, half precision."""

from __future__ import annotations

from functools import partial

from wsl.cam.sources.map_format import MapFormat, find_by_id
from wsl.cam.sources.pickled import read_keyed_maps

FORMAT = MapFormat(".npy", partial(read_keyed_maps, maps="attn_highres", first_key=0), find_by_id(".npy"))
