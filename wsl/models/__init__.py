"""Classifiers: torchvision's families, any network of timm, a small CNN, their weights and checkpoints.

Importing the package registers every family; the libraries behind them are imported only when one is built.
"""

from wsl.models import convnext, densenet, efficientnet, mobilenet, resnet, small_cnn, swin, vgg, vit
from wsl.models.build import build_classifier, list_models
from wsl.models.checkpoint import CheckpointMeta, load_checkpoint, save_checkpoint
from wsl.models.classifier import MODELS, Classifier, predict_probabilities
from wsl.models.weights import LoadReport, load_weights, read_state_dict
from wsl.models.wrap import wrap_network

__all__ = [
    "MODELS",
    "CheckpointMeta",
    "Classifier",
    "LoadReport",
    "build_classifier",
    "convnext",
    "densenet",
    "efficientnet",
    "list_models",
    "load_checkpoint",
    "load_weights",
    "mobilenet",
    "predict_probabilities",
    "read_state_dict",
    "resnet",
    "save_checkpoint",
    "small_cnn",
    "swin",
    "vgg",
    "vit",
    "wrap_network",
]
