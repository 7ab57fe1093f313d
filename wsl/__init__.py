"""wsl: boxes and masks from image-level labels, and how good they are.

images + image-level labels
    data      read VOC, COCO, folders, CSV/JSONL lists; one Sample per image
    train     a classifier from the labels (or a given checkpoint)
    cam       score maps (K, h, w) of the classes present
    localize  threshold -> connected components -> boxes
    seeds     background rule -> seed label map, 255 = not sure
    refine    dense CRF, PAMR, region growing -> label map
    evaluate  VOC mIoU, MaxBoxAcc, CorLoc, COCO AP
    export    VOC palette PNG, COCO JSON
pipeline runs them in this order; cli speaks to it.
"""

from wsl.version import __version__

__all__ = ["__version__"]
