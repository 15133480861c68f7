"""Whether a store was prepared as a recipe reads it."""

from prismat.errors import MismatchError
from prismat.modalities.structure import StructureSettings
from prismat.modalities.windows import MEASURED
from prismat.recipes.base import Recipe
from prismat.recipes.serial import to_json
from prismat.store import Store


def check_store(store: Store, recipe: Recipe) -> None:
    """Refuses a store whose graphs, patterns or measurements are not what the recipe reads.

    Raises:
        MismatchError: they are not; says how to prepare them.
    """
    made, wanted = store.info["job"]["settings"], to_json(recipe.measured)
    if "structure" in recipe.windows or recipe.graph.extras:
        check_graphs(store, recipe.graph)
    _check_views(store, recipe)
    for window in MEASURED:
        if window in recipe.windows:
            _check_equal(store, f"{window} settings", made["measured"][window], wanted[window])
    is_drawn = "image" in recipe.windows and recipe.measured.image.source == "xrd"
    if "xrd" in recipe.windows or is_drawn:
        _check_equal(store, "the wavelength", made["xrd"]["wavelength"], recipe.profile.wavelength)
        if store.lengths("xrd.profile").any():
            there, read = ({**g, "wavelength": 0} for g in (made["profile"], to_json(recipe.profile)))
            _check_equal(store, "profile settings", there, read)


def check_graphs(store: Store, graph: StructureSettings) -> None:
    """Refuses a store of other graphs; further features in it do no harm.

    Raises:
        MismatchError: graphs were prepared otherwise, or lack a feature.
    """
    made, wanted = store.info["job"]["settings"]["structure"], to_json(graph)
    if missing := [e for e in wanted["extras"] if e not in made["extras"]]:
        raise MismatchError(
            f"{store.folder} was prepared without {' and '.join(missing)}, which its encoder reads. "
            f"Run 'prismat prepare --settings.structure.extras {' '.join(missing)}' into another folder."
        )
    _check_equal(store, "graph settings", {**made, "extras": wanted["extras"]}, wanted)


def _check_equal(store: Store, what: str, there: object, wanted: object) -> None:
    if there != wanted:
        raise MismatchError(
            f"{store.folder} was prepared with {what} {there}, the recipe wants {wanted}. "
            "Run 'prismat prepare' with the recipe's settings into another folder."
        )


def _check_views(store: Store, recipe: Recipe) -> None:
    """Refuses views that need what the store does not hold."""
    made = store.info["job"]["settings"]
    if recipe.reads_texture and not made["xrd"].get("texture", False):
        raise MismatchError(
            f"{store.folder} was prepared without the directions of its lines, which texture needs. "
            "Run 'prismat prepare --settings.xrd.texture' into another folder."
        )
    structure = recipe.views.structure
    if structure and structure.needs_full_graph and made["structure"]["reduced"]:
        raise MismatchError(
            f"{store.folder} holds graphs reduced by symmetry, which coordinate noise breaks. "
            "Run 'prismat prepare --settings.structure.no-reduced' into another folder, and train with "
            "'--job.recipe.graph.no-reduced'."
        )
