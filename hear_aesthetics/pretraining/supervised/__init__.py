"""Supervised objectives: what the renderer of the audio knows, and what teachers say.

``batches`` draws clips with their labels and their teachers' embeddings; ``heads`` predicts both
from hidden states; ``objective`` joins them, and masked prediction, into one loss; ``run`` is the
training loop with it. Heads are thrown away at the end.
"""
