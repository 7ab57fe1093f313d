"""PSA's `la_crf` and `ha_crf` folders: `{0: background, class key from 1: (H, W)}`.

These are probabilities that a dense CRF has refined already: thresholds for score maps do not carry over, and a second
CRF after them refines twice. The background's map is not used.
"""

from __future__ import annotations

from functools import partial

from wsl.cam.sources.map_format import MapFormat, find_by_id
from wsl.cam.sources.pickled import read_maps_by_class

FORMAT = MapFormat(".npy", partial(read_maps_by_class, first_key=1), find_by_id(".npy"))
