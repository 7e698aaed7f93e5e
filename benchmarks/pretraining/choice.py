"""Which layer, pooling and sources of a pretrained pair are best on validation?

    python -m benchmarks.pretraining.choice --model RUN --tasks TASKS_DIR [--splits 20] [--write]

The choice of a layer is a choice of depth too: the layers above it are not computed.
"""

from pathlib import Path

from benchmarks.common.harness import BenchmarkReport, main
from benchmarks.common.small_pairs import (
    all_tasks,
    choose,
    embed,
    load_pair,
    options,
    untrained_pair,
)
from hear_aesthetics.features.fusion import SOURCES

SETS = {"fused": SOURCES, **{source: (source,) for source in SOURCES}}


def measure(quick: bool, model: Path, tasks: Path | None, splits: int) -> BenchmarkReport:
    """Measure the mean validation accuracy of layers, poolings and sources."""
    data = all_tasks(tasks, 3 if quick else splits)
    trained = load_pair(model)
    pairs = {"trained": trained, "untrained": untrained_pair(trained["muq"].config, 0)}
    rows, best = [], {}
    for pair, encoders in pairs.items():
        states = embed(data, encoders)
        for name, sources in SETS.items():
            found = choose(data, states, sources)
            for (layer, pooling), valid in found.items():
                row = {"pair": pair, "sources": name, "layer": layer, "pooling": pooling}
                rows.append({**row, "valid": f"{valid:.4f}"})
            best[pair, name] = next(iter(found.items()))
    (layer, pooling), valid = best["trained", "fused"]
    return BenchmarkReport(
        "Layer, pooling and sources of a pretrained pair",
        rows,
        ratio=valid / best["untrained", "fused"][1],
        max_difference=0.0,
        notes=[
            f"chosen: layer {layer}, {pooling}; tasks: {', '.join(task.name for task in data)}",
            "ratio: best trained over best untrained, both fused; difference: not measured",
        ],
    )


if __name__ == "__main__":
    raise SystemExit(main("pretraining.choice", measure, options=options()))
