"""Layers and padding masks shared by the heads."""
