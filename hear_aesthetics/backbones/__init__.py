"""Frozen encoders of music: MuQ and MusicFM."""

from hear_aesthetics.backbones.backbone import Backbone, MelStatistics
from hear_aesthetics.backbones.muq import MuQ
from hear_aesthetics.backbones.musicfm import MusicFM

__all__ = ["Backbone", "MelStatistics", "MuQ", "MusicFM"]
