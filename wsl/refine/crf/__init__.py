"""Dense CRF: mean field over all pairs of pixels (Kraehenbuehl and Koltun 2011) on permutohedral lattices."""

from wsl.refine.crf.field import DenseField
from wsl.refine.crf.kernels import Kernel

__all__ = ["DenseField", "Kernel"]
