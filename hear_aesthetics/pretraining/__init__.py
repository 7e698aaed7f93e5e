"""Pretraining of encoders of any size: by masked prediction as MuQ and MusicFM, labels, teachers.

Stages, each usable alone: audio is rendered or decoded once into a pool (``data.pool``), remixed
on the fly (``data.augmentation``) and masked, and its codes (``targets``) are predicted
(``objective``) by an encoder that is new or read (``initialization``). Clips with labels
(``rendered``) and embeddings of ``teachers`` are predicted as well where ``supervised`` heads are
in the mixture. ``training`` runs the ``loop`` and writes a model directory; ``standardization``
adds the constants that standardize its embeddings.
"""
