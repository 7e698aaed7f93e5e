"""Masked prediction, the objective of MuQ and MusicFM, for encoders of any size.

Stages, each usable alone: audio is rendered or decoded once into a pool (``data.pool``), remixed
on the fly (``data.augmentation``) and masked, and its codes (``targets``) are predicted
(``objective``) by an encoder that is new or read (``initialization``). ``training`` runs the loop
and writes a model directory; ``standardization`` adds the constants that standardize its
embeddings.
"""
