"""Data sets in the text files of wsolevaluation: CUB, ILSVRC, OpenImages, and any other written down in this way."""
