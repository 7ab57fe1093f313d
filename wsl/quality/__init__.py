"""How good is a pseudo-label, without ground truth: signals of an image and its regions, and one confidence of them."""
