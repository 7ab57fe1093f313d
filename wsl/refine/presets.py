"""Dense CRF constants of published pipelines, and one set of ours, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CrfConstants:
    """Constants of one dense CRF: sxy in pixels, srgb in grey levels of 0..255, compat = weight of the Potts term.

    `unary`: `labels` (hard labels held with a probability), `scores` (-log of the scores, which are probabilities or
    taken for them) or `logits` (-log softmax of the scores). `wrap_uint8`: see `wsl.refine.crf.wrapping`.
    """

    iterations: int
    gaussian_sxy: float
    gaussian_compat: float
    bilateral_sxy: float
    bilateral_srgb: float
    bilateral_compat: float
    unary: str
    wrap_uint8: bool = False


PRESETS: dict[str, CrfConstants] = {
    # AffinityNet (PSA), SEAM, 1-stage-wseg, PuzzleCAM at test time
    "psa": CrfConstants(10, 3, 3, 80, 13, 10, "scores"),
    # IRN, ReCAM, AdvCAM, PuzzleCAM's seeds
    "irn": CrfConstants(10, 3, 3, 50, 5, 10, "labels"),
    "clip_es": CrfConstants(10, 1, 3, 67, 3, 4, "scores"),
    # CLIP-ES as published: its mean-free image is cast to bytes, so that dark pixels become bright ones
    "clip_es_wrapped": CrfConstants(10, 1, 3, 67, 3, 4, "scores", wrap_uint8=True),
    # ToCo's CAM labels
    "toco": CrfConstants(10, 3, 3, 36, 3, 4, "scores"),
    # ToCo at test time
    "toco_test": CrfConstants(10, 1, 1, 121, 5, 4, "scores"),
    "mctformer": CrfConstants(10, 4, 3, 83, 5, 3, "scores"),
    # SEC and DSRG at test time, at the image's full size
    "sec": CrfConstants(10, 3, 3, 80, 13, 10, "scores"),
    # SEC's constrain loss on 41x41 pixels: the widths in pixels over 12
    "sec_train": CrfConstants(10, 3 / 12, 3, 80 / 12, 13, 10, "scores"),
    # DSRG feeds the same layer with probabilities where it expects logits
    "dsrg_train": CrfConstants(10, 3 / 12, 3, 80 / 12, 13, 10, "logits"),
    # PuzzleCAM's pseudo labels: one iteration
    "puzzle": CrfConstants(1, 3, 3, 50, 5, 10, "labels"),
    # Ours, for small grey textured images (200 to 400 px): the constants above smooth small defects away. Chosen by
    # hand with the masks of 50 magnetic-tile images, so scores on those images are flattered by it.
    "small_texture": CrfConstants(10, 3, 1, 15, 3, 4, "labels"),
}
