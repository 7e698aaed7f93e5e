"""Event stage of heareval's validation, after the network; run by the interpreter of the kit.

``python kit_event_stage.py FOLDER PREDICTIONS.npz``: events of every post-processing, and all
scores of each. Prints one JSON line: processor seconds (median of the runs) and the values.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from heareval.predictions.task_predictions import (
    EVENT_POSTPROCESSING_GRID,
    available_scores,
    get_events_for_all_files,
    label_vocab_as_dict,
)

RUNS = 3


def main(folder: Path, stored: Path) -> dict:
    """Decode and score the stored predictions."""
    content = np.load(stored)
    vocabulary = pd.read_csv(folder / "labelvocabulary.csv")
    index = label_vocab_as_dict(vocabulary, key="label", value="idx")
    names = label_vocab_as_dict(vocabulary, key="idx", value="label")
    evaluation = json.loads((folder / "task_metadata.json").read_text())["evaluation"]
    scores = [available_scores[name](label_to_idx=index) for name in evaluation]
    targets = json.loads((folder / "valid.json").read_text())
    predictions = torch.from_numpy(content["predictions"])
    files, times = content["files"].tolist(), torch.from_numpy(content["times"])
    seconds = []
    for _ in range(RUNS):
        started = time.process_time()
        found = get_events_for_all_files(
            predictions, files, times, names, EVENT_POSTPROCESSING_GRID
        )
        results = [[score(events, targets) for score in scores] for events in found.values()]
        seconds.append(time.process_time() - started)
    flat = [value for result in results for parts in result for _, value in parts]
    return {"seconds": statistics.median(seconds), "values": flat}


if __name__ == "__main__":
    print(json.dumps(main(*map(Path, sys.argv[1:]))))
