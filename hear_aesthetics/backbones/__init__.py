"""Frozen encoders of music: MuQ and MusicFM."""

from hear_aesthetics.backbones.backbone import Backbone, MelStatistics
from hear_aesthetics.backbones.encoders import MuQ, MusicFM

__all__ = ["Backbone", "MelStatistics", "MuQ", "MusicFM"]
