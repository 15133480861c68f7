"""k-means++ and the names of what it finds."""

from collections import Counter

import numpy as np
import pytest
from sklearn.cluster import KMeans

from prismat.errors import BadInputError
from prismat.maps.clusters import kmeans, squared_distances
from prismat.maps.names import PRIOR, log_odds, name_clusters
from prismat.maps.overlays import chemical_class
from prismat.maps.words import counts_by_cluster, singular, terms
from prismat.material import Material


def test_kmeans_against_scikit_learn():
    rng = np.random.default_rng(0)
    vectors = np.repeat(rng.normal(size=(6, 8)), 30, axis=0) + 0.3 * rng.normal(size=(180, 8))
    own = kmeans(vectors, 6, seed=0)
    theirs = KMeans(6, n_init=10, random_state=0).fit(vectors)
    assert own.inertia == pytest.approx(theirs.inertia_, rel=1e-6)
    assert own.inertia == pytest.approx(squared_distances(vectors, own.centres).min(axis=1).sum())


def test_clusters_come_largest_first_and_the_same_every_time():
    vectors = np.array([[0.0, 0]] * 2 + [[9.0, 9]] * 7 + [[0.0, 9]] * 4)
    found = kmeans(vectors, 3, seed=1)
    assert np.bincount(found.labels).tolist() == [7, 4, 2]
    assert np.array_equal(found.labels, kmeans(vectors, 3, seed=1).labels)


def test_no_more_clusters_than_distinct_vectors():
    assert len(kmeans(np.ones((5, 2)), 3).centres) == 1


@pytest.mark.parametrize("count", [0, 6])
def test_a_number_of_clusters_that_cannot_be(count):
    with pytest.raises(BadInputError, match=f"{count} clusters of 5 records"):
        kmeans(np.ones((5, 2)), count)


def test_terms_of_a_title():
    found = terms("The crystal structure of two silicate garnets and MgAl2O4 by X-ray diffraction")
    assert {"silicate", "garnet", "silicate garnet", "MgAl2O4"} <= set(found)
    assert not {"crystal", "structure", "diffraction", "two"} & set(found)


@pytest.mark.parametrize(
    ("plural", "one"),
    [
        ("garnets", "garnet"),
        ("properties", "property"),
        ("glass", "glass"),
        ("hydrous", "hydrous"),
        ("NaCl", "NaCl"),
    ],
)
def test_plurals(plural, one):
    assert singular(plural) == one


def test_a_long_study_counts_once():
    counts = counts_by_cluster(["Zeolites", "Zeolites", "A zeolite", "Garnets"], [0, 0, 0, 1], 2)
    assert counts[0]["zeolite"] == 2
    assert counts[1] == Counter({"garnet": 1})


def test_log_odds_against_the_equations_word_by_word():
    counts = [Counter(a=8, b=1), Counter(a=1, b=3, c=6)]
    words, z = log_odds(counts)
    total = counts[0] + counts[1]
    for j, word in enumerate(words):
        prior = PRIOR * total[word] / sum(total.values())
        odds, variance = [], 0.0
        for count in counts:
            y, n = count[word] + prior, sum(count.values()) + PRIOR
            odds.append(np.log(y / (n - y)))
            variance += 1 / y
        assert z[0, j] == pytest.approx((odds[0] - odds[1]) / np.sqrt(variance))
    assert np.allclose(z[0], -z[1])


def test_names_tell_clusters_apart():
    titles = [f"Silicate garnet number {i} of the alps" for i in range(6)]
    titles += [f"Copper sulfide number {i} of the alps" for i in range(6)]
    names = name_clusters(titles, [0] * 6 + [1] * 6, 2)
    assert "garnet" in names[0].text
    assert "sulfide" in names[1].text
    assert not set(names[0].words) & set(names[1].words)


def test_a_cluster_without_words_has_a_number():
    assert [n.text for n in name_clusters(["", ""], [0, 1], 2)] == ["cluster 1", "cluster 2"]


def test_classes_of_real_minerals_are_named_by_their_titles(amcsd):
    rows = [m for m in amcsd.read(0, 150) if isinstance(m, Material) and m.structure is not None]
    kinds = [chemical_class(m.structure.elements) for m in rows]
    found = sorted({"silicate", "sulfide or selenide", "carbonate"} & set(kinds))
    kept = [i for i, kind in enumerate(kinds) if kind in found]
    labels = [found.index(kinds[i]) for i in kept]
    names = name_clusters([rows[i].texts.get("title", "") for i in kept], labels, len(found), kept=20)
    said = dict(zip(found, names, strict=True))
    assert {"silicate", "pyroxene", "feldspar", "mica", "garnet"} & set(said["silicate"].words)
    assert not {"silicate", "pyroxene", "feldspar", "garnet"} & set(said["sulfide or selenide"].words)
