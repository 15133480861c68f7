import json

import numpy as np
import pytest
import torch

import helpers_prediction as tiny
import helpers_small as small
from helpers_cli import call
from prismat.errors import BadInputError, MismatchError
from prismat.modalities.properties import PropertySpec
from prismat.modalities.structure import StructureSettings
from prismat.predictor import load_predictor
from prismat.prepare import PrepareSettings, prepare
from prismat.recipes.crysmmnet import PredictorJob
from prismat.recipes.serial import from_json, to_json
from prismat.tasks import prediction
from prismat.tasks.quickstart import Talk
from prismat.training.session import open_prepared
from prismat.training.supervised import predict_rows


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dense") / "store"
    source = small.SmallSource(tiny.rows())
    return open_prepared(prepare(source, folder, PrepareSettings(workers=1)), small.SPLIT)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    pytest.importorskip("transformers")
    return small.write_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    """Embeddings of a toy encoder do not belong in the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prediction, "cache_dir", lambda: folder)
        yield


@pytest.fixture(scope="module")
def commanded(prepared, bert, tmp_path_factory):
    """train and evaluate by commands, from a job file."""
    root = tmp_path_factory.mktemp("commanded")
    (root / "job.json").write_text(json.dumps(to_json(tiny.job(bert))))
    store = prepared.store.folder
    told = [call("train", "--store", store, "--out", root / "run", "--job-file", root / "job.json")]
    told.append(call("evaluate", "--store", store, "--run", root / "run"))
    return root / "run", told


def mae(prepared, trained, job, part):
    labelled = prediction.label(prepared, job.target)
    rows = labelled.rows[part]
    found = trained.predictor.target.restored(predict_rows(trained.predictor.model, trained.data, rows))
    return float(np.abs(found - labelled.values[rows]).mean())


def test_labels(prepared):
    labelled = prediction.label(prepared, tiny.DENSITY)
    known = {m.id: m.properties.get("number_density") for m in tiny.rows()}
    for row, id_ in enumerate(prepared.records.ids):
        wanted = known[id_].value if known[id_] else np.nan
        assert labelled.values[row] == pytest.approx(wanted, rel=1e-6, nan_ok=True)
    used = {prepared.records.ids[r] for rows in labelled.rows.values() for r in rows}
    assert used == {id_ for id_, value in known.items() if value} - {"words"}
    assert sum(labelled.left_out.values()) == len(known) - len(used)
    own = labelled.values[labelled.rows["train"]]
    assert (labelled.target.mean, labelled.target.spread) == (own.mean(), own.std())
    again = labelled.target.restored(labelled.target.standardised(own))
    assert np.allclose(again, own, rtol=1e-12)


def test_logarithms_are_labels_too(prepared):
    plain = prediction.label(prepared, tiny.DENSITY)
    logs = prediction.label(prepared, PropertySpec("number_density", "1/Å3", log=True))
    assert np.allclose(logs.values, np.log10(plain.values), rtol=1e-6, equal_nan=True)
    assert logs.target.unit == "log10(1/Å3)"


def test_a_training_beats_the_mean_and_the_test_part_is_not_read(prepared, bert, tmp_path):
    job, asked = tiny.job(bert, steps=60, evaluate_every=20), []
    take = prepared.store.take
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepared.store, "take", lambda rows, names: (asked.append(rows), take(rows, names))[1])
        trained = prediction.train_predictor(prepared, job, tmp_path)
    labelled = prediction.label(prepared, job.target)
    assert not np.isin(labelled.rows["test"], np.concatenate(asked)).any()
    val = labelled.values[labelled.rows["val"]]
    assert trained.validation["mae"] < 0.6 * np.abs(val - labelled.target.mean).mean()
    assert trained.validation["mae"] == pytest.approx(mae(prepared, trained, job, "val"))
    best = min(trained.outcome.history, key=lambda entry: entry["val/mae"])
    assert trained.outcome.best_step == best["step"]


@pytest.mark.parametrize("parts", ["graph", "text"])
def test_parts(prepared, bert, tmp_path, parts):
    trained = prediction.train_predictor(prepared, tiny.job(bert, parts=parts), tmp_path)
    assert (trained.predictor.reader is None) == (parts == "graph")
    assert (trained.predictor.model.graph is None) == (parts == "text")


def test_an_interrupted_training_goes_on(prepared, bert, tmp_path):
    job = tiny.job(bert, steps=12, evaluate_every=4)
    whole = prediction.train_predictor(prepared, job, tmp_path / "whole")

    def stop(stage, done, total, entry):
        if stage == "tiny" and done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prediction.train_predictor(prepared, job, tmp_path / "part", Talk(bar=stop))
    part = prediction.train_predictor(prepared, job, tmp_path / "part")
    assert part.predictor.hash == whole.predictor.hash
    assert part.outcome.history == whole.outcome.history
    with pytest.raises(MismatchError, match="other data or settings"):
        prediction.train_predictor(
            prepared, tiny.job(bert, seed=2, steps=12, evaluate_every=4), tmp_path / "part"
        )


def test_commands_train_and_evaluate(commanded, prepared):
    run, (train, evaluate) = commanded
    assert (train.code, evaluate.code) == (0, 0), (train.err, evaluate.err)
    left_out = sum(prediction.label(prepared, tiny.DENSITY).left_out.values())
    assert f"{left_out} records without number_density or without a structure are left out" in train.out
    assert "tiny, val MAE" in train.out
    assert "composition, val MAE" in train.out
    assert f"Next: prismat evaluate --store {prepared.store.folder} --run {run}" in train.out
    assert "against composition" in evaluate.out
    assert "against training median" in evaluate.out
    assert from_json(PredictorJob, json.loads((run / "config.json").read_text())).target == tiny.DENSITY


def test_the_report_is_of_the_test_part(commanded, prepared):
    run, _ = commanded
    report = json.loads((run / "report.json").read_text())
    labelled = prediction.label(prepared, tiny.DENSITY)
    rows, predictor = labelled.rows["test"], load_predictor(run)
    data = prediction.predictor_data(prepared, predictor.recipe, predictor.reader)
    found = predictor.target.restored(predict_rows(predictor.model, data, rows))
    error = np.abs(found - labelled.values[rows])
    assert report["metrics"]["mae"][0] == pytest.approx(error.mean())
    assert report["dataset"]["test"] == len(rows)
    other = report["baselines"]["composition"]["mae"][0]
    mean, low, high = report["differences"]["composition"]["mae"]
    assert mean == pytest.approx(error.mean() - other)
    assert low <= mean <= high
    assert report["baselines"]["training median"]["pearson"] == [None, None, None]
    assert report["model_hash"] == predictor.hash
    card = (run / "model" / "README.md").read_text()
    assert f"{report['metrics']['mae'][0]:.3f} [" in card
    assert "CC0; Nobody (2026)" in card


def test_a_second_evaluation_is_the_first(commanded, prepared):
    run, _ = commanded
    before = json.loads((run / "report.json").read_text())
    said = call("evaluate", "--store", prepared.store.folder, "--run", run, "--json")
    after = json.loads(said.out)
    assert after["metrics"] == before["metrics"]
    assert after["model_hash"] == before["model_hash"]


def test_a_predictor_gives_what_the_store_gives(commanded, prepared):
    """From raw structures alone: graph and words are made as preparation made them."""
    run, _ = commanded
    predictor = load_predictor(run)
    bare = [m for m in tiny.rows() if m.structure is not None and "keywords" not in m.texts][::7]
    found = predictor.predict(structures=[m.structure for m in bare])
    rows = np.array([prepared.records.ids.index(m.id) for m in bare])
    data = prediction.predictor_data(prepared, predictor.recipe, predictor.reader)
    stored = predictor.target.restored(predict_rows(predictor.model, data, rows))
    assert np.allclose(found.values, stored, rtol=1e-5)
    assert (found.name, found.unit) == ("number_density", "1/Å3")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--recipe", "crysmmnet-cgcnn", "--target", "gap"), "no record has the property 'gap'"),
        (("--recipe", "crysmmnet-cgcnn", "--target", "gap"), "atomic_number, number_density (1/Å3)"),
        (("--recipe", "crysmmnet-cgcnn"), "no property to predict is named"),
        (("--target", "number_density"), "default predicts no property"),
        (
            ("--recipe", "crysmmnet-cgcnn", "--target", "number_density", "--windows", "xrd"),
            "do not go with a predictor",
        ),
    ],
)
def test_command_errors(prepared, tmp_path, words, message):
    said = call("train", "--store", prepared.store.folder, "--out", tmp_path / "run", *words)
    assert said.code == 1
    assert message in said.err
    assert not (tmp_path / "run").exists()


def test_errors(prepared, bert, tmp_path, small_prepared):
    job = tiny.job(bert)
    missing = tiny.job(tmp_path / "nowhere")
    with pytest.raises(BadInputError, match="neither a folder nor to be had"):
        prediction.train_predictor(prepared, missing, tmp_path)
    with pytest.raises(BadInputError, match=r"number_density.*eV"):
        prediction.label(prepared, PropertySpec("number_density", "eV"))
    with pytest.raises(BadInputError, match=r"has the property 'number_density'.*gap \(eV\)"):
        prediction.label(small_prepared, tiny.DENSITY)
    other = PredictorJob(
        job.target, tiny.recipe(parts="graph", graph=StructureSettings(cutoff=5.0)), job.train, job.split
    )
    with pytest.raises(MismatchError, match="graph settings"):
        prediction.train_predictor(prepared, other, tmp_path)


def test_a_constant_target_is_refused(tmp_path):
    from dataclasses import replace

    from prismat.material import Property

    rows = tuple(replace(m, properties={"one": Property(1.0, "")}) for m in tiny.rows()[:40])
    store = prepare(small.SmallSource(rows), tmp_path / "store", PrepareSettings(workers=1))
    with pytest.raises(BadInputError, match="all training records have one = 1"):
        prediction.label(open_prepared(store, small.SPLIT), PropertySpec("one", ""))


def test_torch_is_seeded(prepared, bert, tmp_path):
    job = tiny.job(bert, steps=4, evaluate_every=4)
    runs = []
    for name in ("a", "b"):
        torch.manual_seed(len(runs))
        runs.append(prediction.train_predictor(prepared, job, tmp_path / name).predictor.hash)
    assert runs[0] == runs[1]
