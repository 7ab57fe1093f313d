"""Training a classifier from image-level labels."""

from wsl.train.loop import TrainResult, train_classifier
from wsl.train.settings import TrainSettings

__all__ = ["TrainResult", "TrainSettings", "train_classifier"]
