"""Teachers: pretrained models whose embeddings an encoder learns to predict.

A teacher is a class of a few lines (:class:`teacher.Teacher`); ``cache`` keeps its embeddings of a
pool on disk.
"""
