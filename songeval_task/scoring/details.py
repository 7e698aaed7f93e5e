"""What happens inside a song: scores over time, and what each stretch of it contributes.

Both are lists of plain records, one per window: ``start`` and ``end`` in seconds of the file, then
a value per column; None where there is none. Heads have windows, scorers of other packages do not.
"""

import math
from collections.abc import Sequence

from songeval_task.scoring.panel import Outputs, Panel
from songeval_task.scoring.windows import EXPLAIN_SECONDS, HOP_SECONDS, WINDOW_SECONDS

__all__ = ["Detail", "explanation", "timeline"]

Detail = list[dict[str, float | None]]


def timeline(panel: Panel, outputs: Outputs, start: float, duration: float) -> Detail:
    """Scores of windows of 30 s, one every 10 s; the last one ends with the clip.

    Args:
        panel: Computed the outputs.
        outputs: Of one clip, without their batch axis.
        start: Where the clip lies in its file, in seconds.
        duration: Of the clip, in seconds.
    """
    count = _count(panel, outputs, "timeline")
    begins = [i * HOP_SECONDS for i in range(count)]
    ends = [min(begin + WINDOW_SECONDS, duration) for begin in begins]
    return _records(panel, outputs, "timeline", _times(begins, ends, start))


def explanation(panel: Panel, outputs: Outputs, start: float, duration: float) -> Detail:
    """Per window of 10 s: how the scores change without it, and the attention it gets.

    Arguments as :func:`timeline`. ``attention`` is the window's share in the vector that the head
    pools, the shares of a clip sum to 1; heads that do not pool by attention have none.
    """
    count = _count(panel, outputs, "explain")
    begins = [i * EXPLAIN_SECONDS for i in range(count)]
    ends = [*begins[1:], duration]
    records = _records(panel, outputs, "explain", _times(begins, ends, start))
    for name, mean in panel.means.items():
        if (shares := outputs.get(f"attention {name}")) is not None:
            for record, share in zip(records, shares.tolist(), strict=True):
                record[mean.removesuffix("mean") + "attention"] = share
    return records


def _count(panel: Panel, outputs: Outputs, kind: str) -> int:
    return max([len(outputs[f"{kind} {name}"]) for name in panel.heads], default=0)


def _times(begins: Sequence[float], ends: Sequence[float], start: float) -> Detail:
    return [
        {"start": start + begin, "end": start + end}
        for begin, end in zip(begins, ends, strict=True)
    ]


def _records(panel: Panel, outputs: Outputs, kind: str, records: Detail) -> Detail:
    """``records`` with the columns of every head."""
    for name in panel.heads:
        for record, scores in zip(records, outputs[f"{kind} {name}"].tolist(), strict=True):
            for column, score in zip(panel.groups[name], scores, strict=True):
                record[column] = None if math.isnan(score) else score
    return records
