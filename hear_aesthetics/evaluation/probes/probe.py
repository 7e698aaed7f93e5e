"""Probe: the shallow network that learns a task on frozen embeddings, and its loss.

``hidden_layers`` times [Linear, BatchNorm, Dropout, ReLU], then Linear to the labels. Weights are
drawn by Xavier's rule, with gain sqrt(2) after a hidden layer; biases keep torch's default.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from hear_aesthetics.evaluation.probes.grid import GridPoint

__all__ = ["build_probe", "logit_loss", "mean_loss", "probabilities"]

_BLOCK_LOGITS = 2**22  # whose loss is computed at once: it takes five times their memory


def build_probe(features: int, labels: int, point: GridPoint) -> nn.Sequential:
    """Return a probe, its weights drawn from torch's global generator in heareval's order."""
    modules: list[nn.Module] = []
    width, previous = features, "linear"
    for _ in range(point.hidden_layers):
        modules.append(_linear(width, point.hidden_dim, previous, point))
        tail = [nn.Dropout(point.dropout), nn.ReLU()]
        norm = nn.BatchNorm1d(point.hidden_dim)
        modules += [*tail, norm] if point.norm_after_activation else [norm, *tail]
        width, previous = point.hidden_dim, "relu"
    modules.append(_linear(width, labels, previous, point))
    return nn.Sequential(*modules)


def _linear(inputs: int, outputs: int, previous: str, point: GridPoint) -> nn.Linear:
    linear = nn.Linear(inputs, outputs)
    initialize = getattr(nn.init, point.initialization)
    initialize(linear.weight, gain=nn.init.calculate_gain(previous))  # type: ignore[arg-type]
    return linear


def logit_loss(logits: Tensor, targets: Tensor, prediction_type: str) -> Tensor:
    """Return the mean loss: cross entropy, binary cross entropy, or SmoothL1 for regression.

    Shape:
        - logits, targets: ``(rows, labels)``; targets one-hot, multi-hot (bool too) or values
        - output: scalar
    """
    targets = targets.to(logits.dtype)
    if prediction_type == "multiclass":
        return F.cross_entropy(logits, targets.argmax(dim=1))
    if prediction_type == "multilabel":
        return F.binary_cross_entropy_with_logits(logits, targets)
    return F.smooth_l1_loss(logits, targets)


def mean_loss(logits: Tensor, targets: Tensor, prediction_type: str) -> float:
    """Return :func:`logit_loss` of any number of rows, some at a time."""
    rows = max(1, _BLOCK_LOGITS // logits.shape[1])
    total = 0.0
    for some, true in zip(logits.split(rows), targets.split(rows), strict=True):
        total += float(logit_loss(some, true, prediction_type)) * len(some)
    return total / len(logits)


def probabilities(logits: Tensor, prediction_type: str) -> Tensor:
    """Return the output that is scored: softmax, sigmoid, or the values for regression."""
    if prediction_type == "multiclass":
        return logits.softmax(dim=-1)
    return logits.sigmoid() if prediction_type == "multilabel" else logits
