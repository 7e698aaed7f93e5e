"""Average precision and AUC equal scikit-learn's, also under resampling."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from hear_aesthetics.metrics.classification import average_precision, roc_auc


@pytest.fixture
def columns():
    """Scores with many ties (80, 5) and targets with both classes in every column."""
    generator = np.random.default_rng(5)
    targets = (generator.uniform(size=(80, 5)) < 0.3).astype(np.float32)
    scores = (generator.uniform(size=(80, 5)) + 0.4 * targets).round(1).astype(np.float32)
    return scores, targets


@pytest.mark.parametrize(
    ("ours", "theirs"), [(average_precision, average_precision_score), (roc_auc, roc_auc_score)]
)
def test_tied_scores_equal_scikit_learn(columns, ours, theirs):
    scores, targets = columns
    np.testing.assert_allclose(
        ours(scores, targets), theirs(targets, scores, average=None), atol=1e-12
    )


@pytest.mark.parametrize("score", [average_precision, roc_auc])
def test_weights_equal_repeating_the_drawn_rows(columns, score):
    scores, targets = columns
    weights = np.random.default_rng(6).multinomial(80, [1 / 80] * 80, 10).astype(float)
    for row, weight in zip(score(scores, targets, weights), weights, strict=True):
        rows = np.repeat(np.arange(80), weight.astype(int))
        np.testing.assert_allclose(row, score(scores[rows], targets[rows]), atol=1e-12)


def test_a_label_with_one_class_has_neither_precision_nor_auc(columns):
    scores, targets = columns
    targets[:, 2] = 0
    for score in (average_precision, roc_auc):
        np.testing.assert_array_equal(np.isnan(score(scores, targets)), np.arange(5) == 2)
