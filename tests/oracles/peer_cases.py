"""Where the peers are right: what they are asked, and what gives the same map here.

`kind` says what is compared: "scores" = both maps at the input's size after the preset; "cells" = the peer's map at the
layer's resolution, resized bilinearly first; "raw" = signed maps at the layer's resolution.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

OUTPUT = 0  # the class that is explained; its maps have positive parts in every network


@dataclass(frozen=True)
class Case:
    """One question to a peer, and the same of ours.

    asked: further arguments of the peer. options: of our method. changed: fields of the preset that differ from the one
    of that name. either_sign: the peer's sign is arbitrary.
    """

    name: str
    peer: str
    network: str
    theirs: str
    method: str
    layers: tuple[str, ...] = ("late",)
    preset: str = "grad_cam"
    kind: str = "scores"
    asked: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    changed: dict[str, Any] = field(default_factory=dict)
    output: int = OUTPUT
    either_sign: bool = False


def _grad_cam(network: str, theirs: str, method: str, **more: Any) -> Case:
    name = more.pop("name", f"grad-cam {theirs} {network}")
    return Case(name, "grad-cam", network, theirs, method, **more)


def _torchcam(network: str, theirs: str, method: str, **more: Any) -> Case:
    name = more.pop("name", f"torchcam {theirs} {network}")
    more = {"preset": "torchcam", "kind": "cells"} | more
    return Case(name, "torchcam", network, theirs, method, **more)


def _captum(network: str, theirs: str, method: str, **more: Any) -> Case:
    return Case(f"captum {theirs} {network}", "captum", network, theirs, method, kind="raw", **more)


BOTH_LAYERS = ("early", "late")
LAST_BLOCK = ("encoder.layers.encoder_layer_1.ln_1",)
BLOCKS = ("encoder.layers.encoder_layer_0", "encoder.layers.encoder_layer_1")
FULL_SIZE = {"size": (24, 32)}
REST = {"target": "ClassifierOutputReST"}

CASES = (
    *(_grad_cam(network, "GradCAM", "grad_cam") for network in ("pooled", "flat", "curved", "signed")),
    *(_grad_cam(network, "HiResCAM", "hires_cam") for network in ("pooled", "flat", "signed")),
    *(_grad_cam(network, "GradCAMElementWise", "grad_cam_elementwise") for network in ("flat", "signed")),
    *(_grad_cam(network, "LayerCAM", "layer_cam") for network in ("pooled", "flat", "signed")),
    *(_grad_cam(network, "XGradCAM", "xgrad_cam") for network in ("pooled", "flat")),
    _grad_cam("steep", "GradCAMPlusPlus", "grad_cam_plus_plus"),
    *(_grad_cam(network, "EigenCAM", "eigen_cam", either_sign=True) for network in ("flat", "signed")),
    *(_grad_cam(network, "EigenGradCAM", "eigen_grad_cam", either_sign=True) for network in ("flat", "signed")),
    *(_grad_cam(network, "SegEigenCAM", "seg_eigen_cam") for network in ("flat", "signed")),
    *(_grad_cam(network, "KPCA_CAM", "kpca_cam", either_sign=True) for network in ("flat", "signed")),
    *(_grad_cam(network, "FEM", "fem") for network in ("flat", "signed")),
    *(_grad_cam(network, "AblationCAM", "ablation_cam", asked={"batch_size": 1}) for network in ("pooled", "flat")),
    *(
        _grad_cam(network, "ScoreCAM", "score_cam", options={"variant": "grad_cam"})
        for network in ("pooled", "flat", "signed")
    ),
    _grad_cam("flat", "ShapleyCAM", "shapley_cam"),
    _grad_cam(
        "curved", "ShapleyCAM", "shapley_cam", asked=REST, changed={"target": "logit_and_log_probability"},
        name="grad-cam ShapleyCAM curved ReST",
    ),
    _grad_cam("curved", "GradCAM", "grad_cam", asked=REST, changed={"target": "logit_and_log_probability"},
              name="grad-cam GradCAM curved ReST"),
    _grad_cam(
        "curved", "GradCAM", "grad_cam", asked={"target": "ClassifierOutputSoftmaxTarget"},
        changed={"target": "probability"}, output=2, name="grad-cam GradCAM curved softmax",
    ),
    _grad_cam("flat", "GradCAM", "grad_cam", layers=BOTH_LAYERS, name="grad-cam GradCAM flat two layers"),
    _grad_cam(
        "flat", "LayerCAM", "layer_cam", layers=BOTH_LAYERS, changed={"layer_fusion": "mean"},
        name="grad-cam LayerCAM flat two layers",
    ),
    # its layers' maps are stretched again after resizing, which makes the first stretch void
    _grad_cam("steep", "RefineCAM", "refine_cam", layers=BOTH_LAYERS, changed={"raw_normaliser": "none"}),
    _grad_cam("vit", "GradCAM", "grad_cam", layers=LAST_BLOCK, asked={"grid": (4, 4)}, output=1),
    _grad_cam("vit", "LayerCAM", "layer_cam", layers=LAST_BLOCK, asked={"grid": (4, 4)}, output=1),
    _torchcam("pooled", "CAM", "cam", layers=("late",), changed={"relu": "none"}),
    *(_torchcam(network, "GradCAM", "grad_cam") for network in ("pooled", "flat", "signed")),
    *(_torchcam(network, "XGradCAM", "xgrad_cam") for network in ("pooled", "flat")),
    *(_torchcam(network, "LayerCAM", "layer_cam") for network in ("flat", "signed")),
    _torchcam(
        "flat", "GradCAM", "grad_cam", layers=BOTH_LAYERS, asked=FULL_SIZE, name="torchcam GradCAM flat two layers"
    ),
    _torchcam(
        "flat", "FinerCAM", "finer_cam", asked={"gamma": 0.6}, options={"variant": "paper", "alpha": 0.6}
    ),
    _torchcam("vit", "LeGrad", "legrad", layers=BLOCKS, asked={"class_token": True}, output=1),
    *(_captum(network, "LayerGradCam", "grad_cam") for network in ("pooled", "flat", "curved", "signed")),
    *(_captum(network, "LayerGradientXActivation", "hires_cam") for network in ("pooled", "flat", "signed")),
)  # fmt: skip
