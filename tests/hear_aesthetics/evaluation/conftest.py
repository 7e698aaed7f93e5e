"""Small task folders, made on the spot."""

import csv
import json

import pytest

METADATA = {
    "task_name": "tones",
    "version": "1.0.0",
    "embedding_type": "scene",
    "prediction_type": "multiclass",
    "split_mode": "trainvaltest",
    "splits": ["train", "valid", "test"],
    "sample_duration": 0.2,
    "evaluation": ["top1_acc"],
}


def write_task(folder, labels, split_labels, **metadata):
    """Write metadata, vocabulary and split files; ``None`` removes a key."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {k: v for k, v in (METADATA | metadata).items() if v is not None}
    (folder / "task_metadata.json").write_text(json.dumps(content))
    with (folder / "labelvocabulary.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("idx", "label"), *enumerate(labels)])
    for split, content in split_labels.items():
        (folder / f"{split}.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def make_task(tmp_path):
    """A function that writes a valid task folder, with the given keys changed."""

    def make(labels=("high", "low"), split_labels=None, **metadata):
        if split_labels is None:
            splits = metadata.get("splits") or METADATA["splits"]
            split_labels = {s: {f"{s}_{i}.wav": [labels[i % 2]] for i in range(4)} for s in splits}
        return write_task(tmp_path / "tones-1.0.0-small", labels, split_labels, **metadata)

    return make
