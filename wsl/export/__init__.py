"""Pseudo-labels in the formats that other tools read. Importing this package files every exporter in EXPORTERS."""

from wsl.export import coco, voc
from wsl.export.record import EXPORTERS, Exporter, ExportRecord

__all__ = ["EXPORTERS", "ExportRecord", "Exporter", "coco", "voc"]
