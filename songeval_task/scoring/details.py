"""Details inside a song: scores over time, and the contribution of each stretch.

Both are lists of plain records, one per window: ``start`` and ``end`` in seconds of the file, then
a value per column; None where there is none. Heads have windows, scorers of other packages do not.
"""

import math
from collections.abc import Sequence

from songeval_task.scoring.scorer_set import Outputs, ScorerSet
from songeval_task.scoring.windows import EXPLAIN_SECONDS, HOP_SECONDS, WINDOW_SECONDS

__all__ = ["Detail", "explanation", "timeline"]

Detail = list[dict[str, float | None]]


def timeline(scorer_set: ScorerSet, outputs: Outputs, start: float, duration: float) -> Detail:
    """Return scores of windows of 30 s, one every 10 s; the last one ends with the clip.

    Args:
        scorer_set: Computed the outputs.
        outputs: Outputs of one clip, without their batch axis.
        start: Beginning of the clip in its file, in seconds.
        duration: Duration of the clip, in seconds.
    """
    begins = [i * HOP_SECONDS for i in range(_count(scorer_set, outputs, "timeline"))]
    ends = [min(begin + WINDOW_SECONDS, duration) for begin in begins]
    return _records(scorer_set, outputs, "timeline", [begins, ends], start)


def explanation(scorer_set: ScorerSet, outputs: Outputs, start: float, duration: float) -> Detail:
    """Return, per window of 10 s, how the scores change without it, and the attention it gets.

    Arguments as :func:`timeline`. ``attention`` is the window's share in the vector that the head
    pools, the shares of a clip sum to 1; heads that do not pool by attention have none.
    """
    begins = [i * EXPLAIN_SECONDS for i in range(_count(scorer_set, outputs, "explain"))]
    records = _records(scorer_set, outputs, "explain", [begins, [*begins[1:], duration]], start)
    for name, mean in scorer_set.means.items():
        if (shares := outputs.get(f"attention {name}")) is not None:
            for record, share in zip(records, shares.tolist(), strict=True):
                record[mean.removesuffix("mean") + "attention"] = share
    return records


def _count(scorer_set: ScorerSet, outputs: Outputs, kind: str) -> int:
    return max([len(outputs[f"{kind} {name}"]) for name in scorer_set.heads], default=0)


def _records(
    scorer_set: ScorerSet, outputs: Outputs, kind: str, times: Sequence[list[float]], start: float
) -> Detail:
    """Return the windows with the columns of every head."""
    records: Detail = [
        {"start": start + begin, "end": start + end} for begin, end in zip(*times, strict=True)
    ]
    for name in scorer_set.heads:
        for record, scores in zip(records, outputs[f"{kind} {name}"].tolist(), strict=True):
            for column, score in zip(scorer_set.groups[name], scores, strict=True):
                record[column] = None if math.isnan(score) else score
    return records
