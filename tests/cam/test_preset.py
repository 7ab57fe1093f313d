"""Presets by name; what they stand for is tested where they are used."""

from __future__ import annotations

import pytest

from wsl.cam.preset import PRESETS, Preset, get_preset
from wsl.errors import ConfigError


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_come_back_from_their_fields(name: str) -> None:
    assert Preset(**get_preset(name).as_dict()) == PRESETS[name]


def test_irn_is_what_its_paper_does() -> None:
    assert get_preset("irn") == Preset(
        relu="each", flip_fusion="sum", scale_fusion="sum", normaliser="max", epsilon=1e-5, input_sides="exact",
        align_corners=False, round_up=16,
    )  # fmt: skip


def test_an_unknown_preset_is_named() -> None:
    with pytest.raises(ConfigError, match=r"Unknown CAM preset 'alligned'. Did you mean: aligned\?"):
        get_preset("alligned")
