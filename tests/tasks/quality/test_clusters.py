import numpy as np
import pytest
from sklearn import metrics

from prismat.errors import BadInputError
from prismat.tasks.quality import clusters
from prismat.tasks.quality.clusters import davies_bouldin, silhouettes


def blobs(seed, n=120, dim=6, classes=5):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    return rng.normal(size=(n, dim)) + 1.5 * rng.normal(size=(classes, dim))[labels], labels


@pytest.mark.parametrize("seed", range(4))
def test_both_indices_are_those_of_scikit_learn(seed):
    vectors, labels = blobs(seed)
    np.testing.assert_allclose(
        silhouettes(vectors, labels), metrics.silhouette_samples(vectors, labels), atol=1e-9
    )
    assert davies_bouldin(vectors, labels) == pytest.approx(
        metrics.davies_bouldin_score(vectors, labels), rel=1e-9
    )


def test_blocks_of_rows_give_the_same(monkeypatch):
    vectors, labels = blobs(7)
    whole = silhouettes(vectors, labels)
    monkeypatch.setattr(clusters, "_DISTANCES_AT_ONCE", 500)
    np.testing.assert_allclose(silhouettes(vectors, labels), whole, atol=1e-12)


def test_a_record_alone_in_its_class_counts_zero():
    vectors, labels = blobs(1)
    labels[0] = 99
    assert silhouettes(vectors, labels)[0] == 0
    np.testing.assert_allclose(
        silhouettes(vectors, labels), metrics.silhouette_samples(vectors, labels), atol=1e-9
    )


def test_one_class_is_refused():
    with pytest.raises(BadInputError, match="1 classes among 4 records"):
        silhouettes(np.eye(4), np.zeros(4, dtype=np.int64))
