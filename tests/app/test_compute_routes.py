from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from helpers_problems import problem_of

import helpers_crystals as real
from prismat.app.limits import Limits
from prismat.app.routes.compute import prediction_json
from prismat.formats import to_cif
from prismat.heads.model import ClassPrediction, NumberPrediction

CIF = to_cif(real.crystals()["NaCl"])
XRD = {"two_theta": np.linspace(10, 80, 200).tolist(), "intensity": (1 + np.arange(200) % 40).tolist()}


@pytest.mark.parametrize(
    "body",
    [{"texts": ["halite", "an oxide"]}, {"structures": [CIF]}, {"patterns": [XRD]}],
    ids=["texts", "structures", "patterns"],
)
def test_vectors_are_those_of_the_model(api, served, body):
    found = api.post("/v1/embed", json=body)
    assert found.status_code == 200, found.text
    vectors = {key: np.array(v) for key, v in found.json()["vectors"].items()}
    for key, rows in vectors.items():
        assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5), key
    if "texts" in body:
        expected = served.prismat.embed(texts=body["texts"])
        assert set(vectors) == set(expected)
        for key, rows in expected.items():
            np.testing.assert_allclose(vectors[key], rows, atol=1e-6)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, ("0 kinds of input",)),
        ({"texts": ["a"], "structures": [CIF]}, ("2 kinds of input",)),
        ({"texts": []}, ("texts",)),
        ({"texts": ["!!"]}, ("no letter",)),
        ({"texts": ["a"] * 257}, ("257", "256")),
        ({"structures": ["quartz.cif"]}, ("structures[0]",)),
        ({"structures": [CIF, "data_x\n"]}, ("structures[1]",)),
        ({"patterns": [{"two_theta": [1, 2], "intensity": [1]}]}, ("patterns",)),
        ({"smells": ["a"]}, ("smells",)),
    ],
    ids=str,
)
def test_what_cannot_be_embedded_is_told_why(api, body, words):
    problem_of(api.post("/v1/embed", json=body), 422, *words)


def test_no_path_is_opened(api, tmp_path):
    path = tmp_path / "secret.cif"
    path.write_text(CIF)
    for text in (str(path), f"{path}\n"):
        problem_of(api.post("/v1/embed", json={"structures": [text]}), 422)


def test_without_a_head_the_remedy_is_told(api):
    problem_of(api.post("/v1/predict", json={"structure": CIF}), 404, "no head", "prismat fit", "--head")


class SaysHalf:
    """A head that predicts 0.5 with an interval."""

    def predict(self, structures, level):
        half = np.full(len(structures), 0.5)
        return NumberPrediction("gap", "eV", level, half, half - 0.1, half + np.inf, half)


def test_a_prediction_has_value_unit_and_interval(served, calls):
    with calls(replace_heads(served), Limits(per_second=0.0)) as api:
        found = api.post("/v1/predict", json={"structure": CIF, "level": 0.8}).json()["predictions"]
        assert found == {"gap": {"value": 0.5, "unit": "eV", "low": 0.4, "high": None, "level": 0.8}}
        problem_of(api.post("/v1/predict", json={"structure": CIF, "heads": ["smell"]}), 422, "smell", "gap")
        problem_of(api.post("/v1/predict", json={"structure": "x"}), 422, "structure")
        problem_of(api.post("/v1/predict", json={"structure": CIF, "level": 1}), 422, "level")


def replace_heads(served):
    """The same with one head; nothing of it is warmed."""
    found = replace(served)
    object.__setattr__(found, "heads", {"gap": SaysHalf()})
    object.__setattr__(found, "warm", lambda: None)
    return found


def test_a_class_has_probabilities_and_a_set():
    found = prediction_json(
        ClassPrediction("kind", ("metal", "not"), 0.9, np.array([[0.7, 0.3]]), np.array([[True, False]]))
    )
    assert found == {
        "value": "metal",
        "probabilities": {"metal": 0.7, "not": 0.3},
        "set": ["metal"],
        "level": 0.9,
    }


def test_threads_embed_as_one_does(served):
    """No lock is needed around the model: many threads at once give bit for bit what one gives."""
    texts = [f"oxide number {i} of sodium" for i in range(40)]
    alone = [served.prismat.embed(texts=[t]) for t in texts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda t: served.prismat.embed(texts=[t]), texts))
    for one, other in zip(alone, together, strict=True):
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])
