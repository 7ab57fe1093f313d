"""Random walks on the grid of an image: affinities of near cells or of attention, and many steps of them at once."""
