"""RefineCAM: the product of the normalised Grad-CAM++ maps of several layers. Domeniconi et al., How to Evaluate and
Refine your CAM, 2026.

Early layers are sharp and late ones know the class. Each layer's map is the one of Grad-CAM++; normalising, resizing
and multiplying is the fusion "product" of the preset.
"""

from __future__ import annotations

from dataclasses import dataclass

from wsl.cam.method import METHODS
from wsl.cam.methods.grad_cam_plus_plus import GradCamPlusPlus


@METHODS.register("refine_cam")
@dataclass(frozen=True)
class RefineCam(GradCamPlusPlus):
    """Looks at the last layer of each of the last three resolutions unless layers are given."""

    default_layers = "stages"
    layer_fusion = "product"
    is_layer_fusion = True
