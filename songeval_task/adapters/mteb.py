"""SongEval as a regression task of mteb, so that any audio encoder there can be measured on it.

    mteb.evaluate(model_meta("large"), songeval("prepared"), cache=mteb.ResultCache("mteb"))

Each dimension is a subset with its own score, and the task's score is their mean. The songs that
``songeval prepare`` holds out are scored; all others train a ridge regression on standardized
embeddings, whose penalty is chosen by leaving one out. mteb's own choice, least squares, has no
solution of its own where embeddings are wider than there are songs.

Interface: ``mteb.abstasks.regression.AbsTaskRegression`` of mteb 2.26.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hear_aesthetics.adapters.mteb import require_mteb
from hear_aesthetics.metrics.correlation import lcc, srcc
from songeval_task.data.download import LICENCE, REPO
from songeval_task.data.prepared import Prepared, read_prepared
from songeval_task.dimensions import DIMENSIONS

__all__ = ["songeval"]

PENALTIES = np.logspace(-1, 5, 13)
CITATION = """@misc{yao2025songeval,
  title = {SongEval: A Benchmark Dataset for Song Aesthetics Evaluation},
  author = {Yao, Jixun and Ma, Guobin and Xue, Huixin and others},
  year = {2025},
  eprint = {2505.10793},
  archivePrefix = {arXiv},
}"""


def songeval(prepared: str | Path) -> Any:
    """Return the task, an ``AbsTaskRegression``.

    Its name ends with a digest of songs and splits: mteb takes a result that it finds under a name
    for that of the task, without a look at the data.

    Args:
        prepared: Folder that ``hear-aesthetics songeval prepare`` wrote.

    Raises:
        InputError: If mteb is missing, or the folder is no prepared data set.
    """
    require_mteb()
    from mteb import TaskMetadata

    data = read_prepared(prepared)
    digest = data.about["table_sha256"]
    metadata = TaskMetadata(
        name=f"SongEval-{digest[:8]}",
        description="Mean ratings of whole generated songs in five dimensions of aesthetics.",
        reference=f"https://huggingface.co/datasets/{REPO}",
        dataset={"path": REPO, "revision": digest},
        type="Regression",
        category="a2c",
        modalities=["audio"],
        eval_splits=["test"],
        eval_langs={dimension.name: ["zxx-Zxxx"] for dimension in DIMENSIONS},
        main_score="kendalltau",
        domains=["Music"],
        license=LICENCE.lower().replace("cc ", "cc-").replace(" ", "-"),
        annotations_creators="expert-annotated",
        sample_creation="created",
        dialect=[],
        task_subtypes=[],
        bibtex_citation=CITATION,
    )
    facts = {"metadata": metadata, "prepared": data}  # of the class: mteb clears its instances
    return type("SongEval", (_task_class(),), facts)()


class _EncodedOnce:
    """Model that encodes each split once: the dimensions share their songs."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.mteb_model_meta = model.mteb_model_meta
        self.similarity = model.similarity
        self.similarity_pairwise = model.similarity_pairwise
        self._known: dict[str, Any] = {}

    def encode(self, inputs: Any, *, hf_split: str, **options: Any) -> Any:
        """Return what the model returned for this split before, or does now."""
        if hf_split not in self._known:
            self._known[hf_split] = self.model.encode(inputs, hf_split=hf_split, **options)
        return self._known[hf_split]


@cache
def _task_class() -> type:
    """Return the task's class, whose base needs mteb."""
    from datasets import DatasetDict
    from mteb.abstasks.regression import AbsTaskRegression
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    class SongEvalRegression(AbsTaskRegression):
        """Ratings of songs, one dimension a subset."""

        input_column_name = "audio"
        evaluator_model = make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
        n_experiments = 1  # every song trains, so that all experiments are the same
        n_samples = 1_000_000

        prepared: Prepared
        encoded: _EncodedOnce | None = None

        def load_data(self, num_proc: int | None = None, **options: Any) -> None:
            """Fill ``dataset``: dimension -> split -> rows with ``audio`` and ``value``."""
            self.dataset = {
                dimension.name: DatasetDict(
                    train=_rows(self.prepared, ("train", "valid"), place),
                    test=_rows(self.prepared, ("test",), place),
                )
                for place, dimension in enumerate(DIMENSIONS)
            }
            self.data_loaded = True

        def evaluate(self, model: Any, split: str = "test", *args: Any, **options: Any) -> Any:
            """Return the scores of each dimension; mteb asks for one after the other."""
            if self.encoded is None or self.encoded.model is not model:
                self.encoded = _EncodedOnce(model)
            return super().evaluate(self.encoded, split, *args, **options)

        def _calculate_scores(self, y_test: Any, y_pred: Any) -> Any:
            """Return mteb's scores and the correlations of the SongEval protocol."""
            columns = np.reshape(y_pred, (-1, 1)), np.reshape(y_test, (-1, 1))
            correlations = {"lcc": float(lcc(*columns)[0]), "srcc": float(srcc(*columns)[0])}
            return {**super()._calculate_scores(y_test, y_pred), **correlations}

    return SongEvalRegression


def _rows(prepared: Prepared, splits: tuple[str, ...], dimension: int) -> Any:
    """Return the songs of some splits as a data set with the ratings of one dimension."""
    from datasets import Audio, Dataset

    songs = [song for song in prepared.songs if song.split in splits]
    paths = [str(prepared.path(song)) for song in songs]
    values = [song.labels[dimension] for song in songs]
    return Dataset.from_dict({"audio": paths, "value": values}).cast_column("audio", Audio())
