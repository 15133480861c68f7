import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import helpers_small as small
from prismat.augment.structure import StructureViews
from prismat.augment.text import TextViews
from prismat.augment.xrd import SampleViews
from prismat.encoders.masked_language import MaskingConfig
from prismat.errors import BadInputError, MismatchError
from prismat.material import Material
from prismat.modalities.image import ImageSettings
from prismat.modalities.image_views import ImageViews
from prismat.modalities.profile import ProfileNoise, XrdModality
from prismat.modalities.rendering import ProfileSettings
from prismat.modalities.structure import StructureSettings
from prismat.modalities.windows import MeasuredSettings
from prismat.modalities.xrd import XrdSettings
from prismat.objectives.config import ObjectiveConfig
from prismat.prepare import PrepareSettings, prepare
from prismat.recipes.base import SplitConfig, TextConfig
from prismat.splits import Split
from prismat.tasks.quickstart import Talk, store_settings, train_recipe
from prismat.training.session import open_prepared, read_texts
from prismat.training.windows import ViewConfig

TESTS = Path(__file__).parent.parent
STEPS = 10


def job(**train):
    return small.tiny_job(**{"steps": STEPS, "evaluate_every": 4, **train})


def stopping_at(step):
    """Talk that interrupts the training after a step."""

    def bar(stage, done, total, entry):
        if stage == "tiny" and done == step:
            raise KeyboardInterrupt

    return Talk(bar=bar)


@pytest.fixture(scope="module")
def whole(small_prepared, tmp_path_factory):
    """An unbroken training, with its folder."""
    folder = tmp_path_factory.mktemp("whole")
    return train_recipe(small_prepared, job(), folder), folder


def assert_same_run(found, folder, whole):
    expected, there = whole
    left, right = load_file(folder / "model/model.safetensors"), load_file(there / "model/model.safetensors")
    assert left.keys() == right.keys()
    assert [k for k in left if not torch.equal(left[k], right[k])] == []
    assert (folder / "metrics.jsonl").read_bytes() == (there / "metrics.jsonl").read_bytes()
    assert found.outcome.history == expected.outcome.history
    assert found.prismat.hash == expected.prismat.hash
    assert found.scales == expected.scales


def test_one_seed_gives_one_run(small_prepared, tmp_path, whole):
    assert_same_run(train_recipe(small_prepared, job(), tmp_path), tmp_path, whole)


def test_another_seed_gives_another(small_prepared, tmp_path, whole):
    other = train_recipe(small_prepared, job(seed=2, steps=2), tmp_path)
    first = [json.loads((f / "metrics.jsonl").read_text().splitlines()[0]) for f in (tmp_path, whole[1])]
    assert first[0]["loss"] != first[1]["loss"]
    assert other.prismat.hash != whole[0].prismat.hash


@pytest.mark.parametrize("step", [2, 4, 7])
def test_an_interrupted_run_ends_as_the_unbroken_one(small_prepared, tmp_path, whole, step):
    with pytest.raises(KeyboardInterrupt):
        train_recipe(small_prepared, job(), tmp_path, stopping_at(step))
    assert not (tmp_path / "model").exists()
    assert_same_run(train_recipe(small_prepared, job(), tmp_path), tmp_path, whole)


def test_a_killed_run_ends_as_the_unbroken_one(small_prepared, tmp_path, whole):
    """The process dies without any chance to clean up, while steps past the checkpoint are logged."""
    program = (
        "import sys, torch\n"
        "torch.set_num_threads(1)\n"
        "from pathlib import Path\n"
        "import helpers_small as small\n"
        "from prismat.store import Store\n"
        "from prismat.tasks.quickstart import Talk, train_recipe\n"
        "from prismat.training.session import open_prepared\n"
        "def bar(stage, done, total, entry):\n"
        "    if stage == 'tiny' and done == 6:\n"
        "        print('here', flush=True)\n"
        "        sys.stdin.read()\n"
        f"job = small.tiny_job(steps={STEPS}, evaluate_every=4)\n"
        "prepared = open_prepared(Store(Path(sys.argv[1])), job.split)\n"
        "train_recipe(prepared, job, Path(sys.argv[2]), Talk(bar=bar))\n"
    )
    command = [sys.executable, "-c", program, str(small_prepared.store.folder), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, text=True) as child:
        assert child.stdout.readline() == "here\n"
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 7, "lo')
    assert json.loads((tmp_path / "checkpoint/progress.json").read_text())["step"] == 4
    assert_same_run(train_recipe(small_prepared, job(), tmp_path), tmp_path, whole)


def test_another_job_is_refused_and_leaves_the_run_alone(small_prepared, small_store, tmp_path):
    train_recipe(small_prepared, job(steps=4), tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}
    with pytest.raises(MismatchError, match="another run folder, or remove it"):
        train_recipe(small_prepared, job(steps=5), tmp_path)
    other_split = replace(job(steps=4), split=SplitConfig(fractions=(0.6, 0.2, 0.2), seed=3))
    with pytest.raises(MismatchError, match="other data or settings"):
        train_recipe(open_prepared(small_store, other_split.split), other_split, tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == before


def test_graph_settings_must_be_those_of_the_store(small_prepared, tmp_path):
    recipe = small.tiny_recipe(graph=StructureSettings(neighbors=8))
    with pytest.raises(MismatchError, match=r"prismat prepare.*with the recipe's settings"):
        train_recipe(small_prepared, small.tiny_job(recipe), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_split_is_written_and_nothing_crosses_it(small_prepared, whole):
    split = Split.from_json((whole[1] / "split.json").read_text())
    assert split.hash == small_prepared.split.hash
    assert split.rule["store"] == small_prepared.store.hash
    records, part_of = small_prepared.records, {}
    for part, rows in small_prepared.rows.items():
        assert len(rows) > 10
        for row in rows:
            key = small.crystal(records.ids[row]).formula
            assert part_of.setdefault(key, part) == part
            if records.titles[row]:
                assert part_of.setdefault(records.titles[row], part) == part


def test_tokens_come_from_training_rows_and_fit_the_encoder(small_prepared):
    recipe = small.tiny_recipe(views=ViewConfig(text={"title": 1.0}))
    side = read_texts(small_prepared, recipe)
    assert side.shapes.vocabulary <= 320
    assert side.reader.read(["perovskite " * 200]).ids.shape[1] == recipe.encoders.text.bpe.max_tokens
    train = small_prepared.rows["train"]
    titles = [small_prepared.records.titles[r] for r in train]
    again = replace(small_prepared, rows={**small_prepared.rows, "train": train[::-1].copy()})
    assert read_texts(again, recipe).reader.describe() == side.reader.describe()
    fewer = replace(small_prepared, rows={**small_prepared.rows, "train": train[: len(train) // 2]})
    assert read_texts(fewer, recipe).reader.describe() != side.reader.describe()
    assert any(titles)


def test_no_text_window_needs_no_reader(small_prepared, tmp_path):
    recipe = small.tiny_recipe(windows=("structure", "xrd"))
    trained = train_recipe(small_prepared, small.tiny_job(recipe, steps=2), tmp_path)
    assert trained.prismat.reader is None
    assert set(trained.scales) == {"structure-xrd"}


def test_shared_heads_train_too(small_prepared, tmp_path):
    shared = replace(small.tiny_recipe().projection, heads="shared")
    trained = train_recipe(
        small_prepared, small.tiny_job(small.tiny_recipe(projection=shared), steps=4), tmp_path
    )
    assert "effective_rank/text" in trained.outcome.history[-1]
    assert set(trained.prismat.embed(texts=["halite"])) == {"text"}


def test_records_without_a_structure_train_and_are_judged(tmp_path):
    """Records may have any of the windows: text only, pattern only, or no text."""
    settings = PrepareSettings(profile=small.tiny_recipe().profile, workers=1)
    store = prepare(small.SmallSource(small.patchy()), tmp_path / "store", settings)
    prepared = open_prepared(store, SplitConfig(fractions=(0.6, 0.2, 0.2), seed=1))
    assert all(len(rows) for rows in prepared.rows.values())
    trained = train_recipe(
        prepared, replace(job(steps=4), split=SplitConfig((0.6, 0.2, 0.2), seed=1)), tmp_path / "run"
    )
    assert np.isfinite(trained.outcome.history[-1]["loss"])
    ids = prepared.records.ids
    rows = np.array([ids.index(i) for i in ("rock_salt_Li-F", "words_0", "pattern_0", "both_0")])
    batches = trained.data.batches(rows, np.random.default_rng(0))
    assert batches["structure"].present.tolist() == [True, False, False, False]
    assert batches["text"].present.tolist() == [True, True, False, True]
    assert batches["xrd"].present.tolist() == [True, False, True, True]
    assert torch.equal(batches["xrd"].profile[2], batches["xrd"].profile[3])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (PrepareSettings(profile=ProfileSettings(points=512)), "profile settings .*512.*256"),
        (PrepareSettings(xrd=XrdSettings(wavelength=0.71)), "the wavelength 0.71, the recipe wants 1.54184"),
    ],
)
def test_patterns_prepared_in_another_way_are_refused(tmp_path, settings, words):
    source = small.SmallSource(small.patchy())
    prepared = open_prepared(prepare(source, tmp_path / "store", replace(settings, workers=1)), job().split)
    with pytest.raises(MismatchError, match=words):
        train_recipe(prepared, job(), tmp_path / "run")


def test_another_wavelength_gives_the_same_profiles(tmp_path, small_prepared):
    """The grid is one of q: a recipe for another radiation sees its peaks at the same places."""
    profile = replace(small.tiny_recipe().profile, wavelength=1.2)
    recipe = small.tiny_recipe(profile=profile, windows=("structure", "xrd"))
    settings = replace(store_settings(recipe, workers=1), xrd=XrdSettings(wavelength=1.2, two_theta_max=70.0))
    prepared = open_prepared(prepare(small.SmallSource(), tmp_path / "store", settings), job().split)
    trained = train_recipe(prepared, small.tiny_job(recipe, steps=1), tmp_path / "run")
    found = trained.data.batches(np.arange(20), None)["xrd"].profile
    usual = XrdModality(small.tiny_recipe().profile)
    expected = usual.collate(small_prepared.store.take(np.arange(20), list(usual.columns))).profile
    assert torch.nn.functional.cosine_similarity(found, expected).min() > 0.98


def test_records_that_come_with_a_part_keep_it(tmp_path):
    """Nothing named val or test is trained on, and what crosses is told."""
    found = [m for m in small.materials() if isinstance(m, Material)]
    parts = ["train", "train", "val", "test"]
    rows = [replace(m, tags={**m.tags, "split": parts[i % 4]}) for i, m in enumerate(found)]
    rows[0] = replace(rows[0], tags={})
    settings = PrepareSettings(profile=small.tiny_recipe().profile, workers=1)
    prepared = open_prepared(prepare(small.SmallSource(tuple(rows)), tmp_path, settings), SplitConfig())
    for i, m in enumerate(rows[1:], start=1):
        assert m.id in getattr(prepared.split, parts[i % 4])
    assert rows[0].id not in {*prepared.split.train, *prepared.split.val, *prepared.split.test}
    assert prepared.split.rule["given"]
    assert prepared.split.rule["crossing"]["title"] > 0
    assert prepared.split.rule["without_part"] == 1


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (("train", "valid", "test"), "record '.*', split: unknown part 'valid'.*train, val, test"),
        (("train", "test"), "no record of the division belongs to val"),
    ],
)
def test_a_division_that_is_incomplete_or_misnamed_is_refused(tmp_path, parts, said):
    found = [m for m in small.materials() if isinstance(m, Material)][:12]
    rows = [replace(m, tags={"split": parts[i % len(parts)]}) for i, m in enumerate(found)]
    settings = PrepareSettings(profile=small.tiny_recipe().profile, workers=1)
    store = prepare(small.SmallSource(tuple(rows)), tmp_path, settings)
    with pytest.raises(BadInputError, match=said):
        open_prepared(store, SplitConfig())


def test_records_of_one_group_stay_together(tmp_path):
    found = [m for m in small.materials() if isinstance(m, Material)][:60]
    rows = [replace(m, tags={**m.tags, "group": f"block {i // 12}"}) for i, m in enumerate(found)]
    settings = PrepareSettings(profile=small.tiny_recipe().profile, workers=1)
    store = prepare(small.SmallSource(tuple(rows)), tmp_path, settings)
    split = open_prepared(store, SplitConfig(fractions=(0.5, 0.25, 0.25))).split
    part = {i: name for name in ("train", "val", "test") for i in getattr(split, name)}
    for block in range(5):
        assert len({part[m.id] for m in rows[12 * block : 12 * block + 12]}) == 1
    assert "group" in split.rule["keys"]


TEXTURED = ProfileNoise(sample=SampleViews(march_dollase=(0.5, 2.0)))


@pytest.mark.parametrize("window", ["xrd", "image"])
def test_texture_needs_a_store_that_knows_of_directions(small_prepared, tmp_path, window):
    views = ViewConfig(noise=TEXTURED, image=ImageViews(noise=TEXTURED))
    measured = MeasuredSettings(image=ImageSettings(source="xrd", size=32))
    recipe = small.tiny_recipe(windows=("structure", window), views=views, measured=measured)
    with pytest.raises(
        MismatchError,
        match=r"prepared without the directions of its lines, which texture needs\. "
        r"Run 'prismat prepare --settings\.xrd\.texture' into another folder",
    ):
        train_recipe(small_prepared, small.tiny_job(recipe, steps=1), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_texture_is_trained_with_where_the_store_has_it(tmp_path):
    recipe = small.tiny_recipe(windows=("structure", "xrd"), views=ViewConfig(noise=TEXTURED))
    source = small.SmallSource(small.materials()[:40])
    store = prepare(source, tmp_path / "store", store_settings(recipe, workers=1))
    found = train_recipe(open_prepared(store, job().split), small.tiny_job(recipe, steps=1), tmp_path / "run")
    assert np.isfinite(found.outcome.history[-1]["loss"])


def test_displaced_atoms_need_full_graphs(small_prepared, tmp_path):
    views = ViewConfig(structure=StructureViews(coordinate_noise=0.05))
    recipe = small.tiny_recipe(windows=("structure", "xrd"), views=views)
    with pytest.raises(
        MismatchError,
        match=r"graphs reduced by symmetry, which coordinate noise breaks\. Run 'prismat prepare "
        r"--settings\.structure\.no-reduced' .*'--job\.recipe\.graph\.no-reduced'",
    ):
        train_recipe(small_prepared, small.tiny_job(recipe, steps=1), tmp_path)
    full = replace(recipe, graph=StructureSettings(reduced=False))
    source = small.SmallSource(small.materials()[:40])
    store = prepare(source, tmp_path / "store", store_settings(full, workers=1))
    found = train_recipe(open_prepared(store, job().split), small.tiny_job(full, steps=1), tmp_path / "run")
    assert np.isfinite(found.outcome.history[-1]["loss"])


def test_frozen_text_has_no_tokens_to_change(small_prepared, tmp_path):
    pytest.importorskip("transformers")
    views = ViewConfig(text={"title": 1.0}, tokens=TextViews(masking=0.1))
    encoders = replace(small.tiny_recipe().encoders, text=TextConfig("frozen", str(tmp_path)))
    with pytest.raises(BadInputError, match=r"views\.tokens: frozen text is not read by tokens\. Set it"):
        read_texts(small_prepared, small.tiny_recipe(encoders=encoders, views=views))


def test_views_masks_and_language_train_together(small_prepared, tmp_path):
    """Chunked, with all that is drawn, and resumed to the last bit."""
    views = ViewConfig(
        text={"title": 0.5, "description": 0.5},
        structure=StructureViews(edge_removal=0.15, node_dropping=0.15, subgraph=0.9),
        tokens=TextViews(masking=0.15, shuffle=0.3, replacement=0.3),
    )
    projection = replace(small.tiny_recipe().projection, heads="shared")
    objective = ObjectiveConfig("jsd", auxiliary={"masked_language": 0.1})
    recipe = small.tiny_recipe(
        windows=("structure", "text"),
        views=views,
        projection=projection,
        objective=objective,
        masked_language=MaskingConfig(),
    )
    wanted = small.tiny_job(recipe, steps=4, evaluate_every=2, chunk=15)
    expected = train_recipe(small_prepared, wanted, tmp_path / "whole")
    entries = [json.loads(x) for x in (tmp_path / "whole/metrics.jsonl").read_text().splitlines()]
    names = {"structure-text", "structure-structure", "text-text", "structure-prior", "text-prior"}
    assert {*names, "masked_language"} < set(entries[0])
    with pytest.raises(KeyboardInterrupt):
        train_recipe(small_prepared, wanted, tmp_path / "part", stopping_at(3))
    found = train_recipe(small_prepared, wanted, tmp_path / "part")
    assert_same_run(found, tmp_path / "part", (expected, tmp_path / "whole"))
