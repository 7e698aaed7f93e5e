"""Masked prediction: how MuQ and MusicFM are trained, for encoders of any size.

Stages, each usable alone: audio is rendered or decoded once into a pool (:mod:`pool`), remixed on
the fly (:mod:`mixing`), masked (:mod:`masking`), and its codes (:mod:`quantisers`, :mod:`mel_rvq`)
are predicted (:mod:`objective`); :mod:`training` runs the loop and writes a model directory;
:mod:`centring` adds the constants that centre its embeddings.
"""
