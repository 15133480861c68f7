"""Recipes by a few words: which encoder, which windows, and a size that a laptop trains in five minutes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

from prismat.encoders.alignn import AlignnConfig
from prismat.encoders.bpe_transformer import BpeTransformerConfig
from prismat.encoders.cgcnn import CgcnnConfig
from prismat.encoders.crystal import Graph, GraphConfigs, Part, extras_of
from prismat.encoders.dos_transformer import DosTransformerConfig
from prismat.encoders.gatgnn import GatgnnConfig
from prismat.encoders.matformer import MatformerConfig
from prismat.encoders.megnet import MegnetConfig
from prismat.encoders.mpgnn import MpgnnConfig
from prismat.encoders.painn import PainnConfig
from prismat.encoders.potnet import PotNetConfig
from prismat.encoders.resnext3d import ResNext3dConfig
from prismat.errors import BadInputError
from prismat.modalities.properties import PropertiesSettings, PropertySpec
from prismat.modalities.windows import MeasuredSettings, Window
from prismat.objectives.config import ObjectiveConfig
from prismat.objectives.pairs import pair_name
from prismat.recipes.base import Job, Recipe, TextConfig
from prismat.recipes.serial import from_json
from prismat.store import Store

Encoder = Literal["default", Graph, "mpgnn-filtered", "composition"]
"""Structure encoders by name; ``default`` is CGCNN beside composition and lattice."""
_EXACT: set[str] = {"structure", "text", "xrd", "image"}


def with_structure(recipe: Recipe, encoder: str) -> Recipe:
    """The recipe with one published structure encoder and nothing beside it.

    Raises:
        BadInputError: no encoder of that name.
    """
    if encoder not in get_args(Encoder):
        raise BadInputError(
            f"unknown structure encoder {encoder!r}",
            field="structure",
            remedy=f"Use one of {', '.join(get_args(Encoder))}.",
        )
    if encoder == "default":
        return recipe
    part: Part = "mpgnn" if encoder == "mpgnn-filtered" else encoder  # ty: ignore[invalid-assignment]
    structure = recipe.encoders.structure
    graphs = replace(structure.graphs, mpgnn=replace(structure.graphs.mpgnn, filtered=encoder != "mpgnn"))
    encoders = replace(recipe.encoders, structure=replace(structure, parts=(part,), graphs=graphs))
    graph = replace(recipe.graph, extras=extras_of((part,)))
    return replace(recipe, name=encoder, encoders=encoders, graph=graph)


def with_windows(recipe: Recipe, windows: Sequence[Window], store: Store) -> Recipe:
    """The recipe with these windows, read as the store was prepared; all its properties where none is named.

    The strained view is left out where a window would not follow it: a DOS, a charge density and properties
    belong to one volume.
    """
    made = store.info["job"]["settings"]["measured"]
    properties = recipe.measured.properties
    if "properties" in windows and not properties.properties:
        properties = properties_of(store)
    measured = replace(from_json(MeasuredSettings, made, "measured"), properties=properties)
    views = recipe.views if set(windows) <= _EXACT else replace(recipe.views, strain=0.0)
    objective, language = (
        fitting(recipe.objective, windows),
        recipe.masked_language if "text" in windows else None,
    )
    return replace(
        recipe,
        windows=tuple(windows),
        measured=measured,
        views=views,
        objective=objective,
        masked_language=language,
    )


def fitting(objective: ObjectiveConfig, windows: Sequence[Window]) -> ObjectiveConfig:
    """The loss for other windows: weights of pairs that are no more go, and so does an absent anchor."""
    pairs = {pair_name(a, b) for a in windows for b in windows if a != b}
    kept = {pair: weight for pair, weight in objective.weights.items() if pair in pairs}
    return replace(objective, weights=kept, anchor=objective.anchor if objective.anchor in windows else "")


def properties_of(store: Store) -> PropertiesSettings:
    """Every property of a store's records with its unit, by name.

    Raises:
        BadInputError: there is none, or one comes with two units.
    """
    units = store.property_units()
    mixed = sorted(name for name, found in units.items() if len(found) > 1)
    if mixed or not units:
        raise BadInputError(
            f"property {mixed[0]!r} comes with several units" if mixed else "no record has a property",
            record=str(store.folder),
            field="properties",
            remedy="Name the properties with their units in the recipe." if mixed else "Use other windows.",
        )
    return PropertiesSettings(tuple(PropertySpec(name, min(units[name])) for name in sorted(units)))


LAPTOP_GRAPHS = GraphConfigs(
    cgcnn=CgcnnConfig(width=64, layers=3),
    mpgnn=MpgnnConfig(width=64, layers=3),
    painn=PainnConfig(width=64, layers=3),
    alignn=AlignnConfig(width=64, angle_neighbors=6),
    potnet=PotNetConfig(width=64),
    megnet=MegnetConfig(),
    gatgnn=GatgnnConfig(width=64),
    matformer=MatformerConfig(width=64, heads=2, layers=3),
)
"""Published networks, narrower; Matformer also has fewer layers, ALIGNN sees angles of near bonds only."""


LAPTOP_BPE = BpeTransformerConfig(width=96, layers=2, heads=4, hidden=384, max_tokens=32)
"""A transformer from scratch that reads most titles whole."""
LAPTOP_RATE = 2e-3
"""Learning rate at laptop scale."""

LAPTOP_STEPS = {"image": 300, "dos": 300, "phonon_dos": 300, "charge_density": 150}
"""Steps of windows whose encoders are slow; 600 of all others."""


LAPTOP_TUNE = 150
"""Steps of a second stage."""


LAPTOP_PIXELS = 64
"""Height and width of pictures at laptop scale."""


def at_laptop_scale(job: Job, pictures: bool = True) -> Job:
    """The same architectures, smaller: 128 records a step, steps for five minutes on two cores at most.

    The learning rate becomes 2e-3 under the recipe's own schedule, and a second stage's the same share of it
    as published, but no less than a tenth: at the published rates a few hundred steps would teach nothing.

    Args:
        job: any job of a joint model.
        pictures: make pictures smaller too; not where their size is the store's.
    """
    recipe = job.recipe
    structure = recipe.encoders.structure
    filtered = structure.graphs.mpgnn.filtered
    graphs = replace(LAPTOP_GRAPHS, mpgnn=replace(LAPTOP_GRAPHS.mpgnn, filtered=filtered))
    encoders = replace(
        recipe.encoders,
        structure=replace(structure, graphs=graphs, width=min(256, structure.width)),
        text=small_text(recipe.encoders.text),
        dos=DosTransformerConfig.laptop(),
        phonon_dos=DosTransformerConfig.laptop(),
        charge_density=ResNext3dConfig.small(),
        image=replace(recipe.encoders.image, backbone="mobilenetv3_small_050", pretrained="none"),
    )
    steps = min(LAPTOP_STEPS.get(window, 600) for window in recipe.windows)
    projection = recipe.projection
    projection = replace(projection, dim=min(256, projection.dim), hidden=min(512, projection.hidden))
    published, optimizer = job.train.optimizer, replace(job.train.optimizer, learning_rate=LAPTOP_RATE)
    optimizer = replace(optimizer, clip=max(1.0, published.clip))
    train = replace(
        job.train, steps=steps, batch=128, chunk=0, evaluate_every=steps // 3, optimizer=optimizer
    )
    share = max(0.1, job.fine_tune.learning_rate / published.learning_rate)
    tune = replace(
        job.fine_tune, steps=min(LAPTOP_TUNE, job.fine_tune.steps), learning_rate=share * LAPTOP_RATE
    )
    image = replace(recipe.measured.image, size=LAPTOP_PIXELS) if pictures else recipe.measured.image
    recipe = replace(
        recipe, encoders=encoders, projection=projection, measured=replace(recipe.measured, image=image)
    )
    return replace(job, recipe=recipe, train=train, fine_tune=tune if tune.steps else job.fine_tune)


def small_text(text: TextConfig) -> TextConfig:
    """The text side at laptop scale, where a hub may be out of reach.

    A frozen encoder may be stood in for by MiniLM, by which results are then labelled. A tuned one becomes a
    transformer of two layers from scratch: a pretrained one of full width takes seconds a step.
    """
    if text.kind != "frozen":
        return replace(text, kind="bpe", bpe=LAPTOP_BPE, vocabulary=4096)
    if text.head.kind == "clasp":
        text = replace(text, head=replace(text.head, hidden=256, out=256))
    return text if text.model == TextConfig().model else replace(text, substitute="minilm")
