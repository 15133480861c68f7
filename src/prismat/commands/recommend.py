"""The verb that recommends synthesis recipes, and measures how well it does."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from prismat.api import load
from prismat.commands.talk import Run, plain_table, talking
from prismat.commands.use import OtherOptions
from prismat.errors import BadInputError
from prismat.files import read_limited
from prismat.material import Property
from prismat.store import Store
from prismat.tasks.opened import Opened, open_beside, open_run, run_folder
from prismat.tasks.result import ResultPage, write_result
from prismat.tasks.synthesis.evaluation import evaluate
from prismat.tasks.synthesis.index import COMPOSITION
from prismat.tasks.synthesis.page import page_of, result_of
from prismat.tasks.synthesis.recipes import TEXT
from prismat.tasks.synthesis.recommend import Recommendation, Recommended, Recommender, Wish

NAME = "synthesis"
_LARGEST = 1 << 24


@dataclass(frozen=True)
class Recommend:
    """Recommend recipes for a structure, a formula, or properties that are wanted.

    Attributes:
        run_folder: a run whose model reads recipes.
        store: with the recipes to choose from; of ``--evaluate``, the run's own.
        structure: a CIF or POSCAR file of the target.
        formula: of the target; a structure of it is taken from the store where there is one.
        targets: wanted properties, each as ``name=value:unit``, such as ``band_gap=1.1:eV``.
        text: words, compared with the words of recipes.
        weights: by part (structure, properties, text, composition) where several count; where none are given,
            the composition has the weight that an evaluation of this run chose, else 0.
        k: recipes wanted.
        leave_out_target: leave out recipes for the very composition that is asked for.
        evaluate: measure on held-out targets instead, with baselines.
        out: folder of the evaluation and of the index of recipes; ``RUN/tasks/synthesis`` where not given.
        json: print JSON.
    """

    run_folder: Run = Path("runs/run")
    store: Path = Path("stores/synthesis")
    structure: Path | None = None
    formula: str = ""
    targets: Annotated[tuple[str, ...], tyro.conf.arg(name="target")] = ()
    text: str = ""
    weights: dict[str, float] = field(default_factory=dict)
    k: int = 10
    leave_out_target: bool = False
    evaluate: bool = False
    out: Path | None = None
    json: bool = False

    def run(self) -> None:
        """Recommends or measures."""
        folder = self.out or run_folder(self.run_folder) / "tasks" / NAME
        if self.evaluate:
            self.measure(folder)
            return
        prismat = load(self.run_folder)
        found = Recommender(prismat, Store(self.store), folder / "index").recommend(self.wish(folder))
        if self.json:
            print(json.dumps(recommended_json(found), indent=2, ensure_ascii=False))
            return
        print(f"By {found.basis}")
        print("\n".join(recipe_lines(i, one) for i, one in enumerate(found.found, start=1)))

    def wish(self, folder: Path) -> Wish:
        """What is asked for."""
        wanted = OtherOptions(targets=self.targets).read().get("properties", {})
        properties: dict[str, Property] = dict(wanted) if isinstance(wanted, Mapping) else {}
        weights = self.weights
        if not weights and (self.structure or self.formula):
            share = chosen_weight(folder)
            weights = {"structure": 1 - share, COMPOSITION: share} if share else {}
        return Wish(
            structure=self.structure,
            formula=self.formula,
            properties=properties,
            text=self.text,
            weights=weights,
            k=self.k,
            leave_out_target=self.leave_out_target,
        )

    def measure(self, folder: Path) -> None:
        """Measures on held-out targets, writes the page and prints its tables.

        Raises:
            BadInputError: what to recommend for is given too.
        """
        if self.structure or self.formula or self.targets or self.text:
            raise BadInputError(
                "a query and --evaluate", field="evaluate", remedy="Ask for a recipe, or measure; not both."
            )
        with talking() as talk:
            opened = open_run(self.run_folder, Store(self.store), text_view=TEXT)
            found = evaluate(opened, _baseline(self.run_folder, opened), talk.note)
        result = result_of(found)
        page = page_of(found, result, NAME)
        path = write_result(folder, NAME, result, page)
        if self.json:
            print(json.dumps(json.loads((folder / f"{NAME}.json").read_text()), indent=2, ensure_ascii=False))
            return
        tell(page)
        print(f"\nReport: {path}")
        print(f"Next:   prismat recommend --run {self.run_folder} --store {self.store} --formula LiCoO2")


def _baseline(folder: Path, opened: Opened) -> Opened | None:
    """The composition-only training beside a run, where there is one."""
    inside = run_folder(folder) / "baselines" / "composition"
    return open_beside(inside, opened, TEXT) if (inside / "model" / "config.json").is_file() else None


def chosen_weight(folder: Path) -> float:
    """Weight of the composition that an evaluation in this folder chose; 0 where there was none.

    Raises:
        BadInputError: the file is damaged.
    """
    path = folder / f"{NAME}.json"
    if not path.is_file():
        return 0.0
    try:
        share = float(json.loads(read_limited(path, _LARGEST))["composition_weight"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadInputError(
            f"{path} is damaged", remedy="Run --evaluate again, or give --weights."
        ) from error
    return min(max(share, 0.0), 1.0)


def tell(page: ResultPage) -> None:
    """The tables of figures as text, examples left to the page."""
    for table in page.tables:
        if not table.title.startswith("Example"):
            print(f"{table.title}\n{plain_table(table.head, table.rows)}\n")
    print(page.lede)


def recipe_lines(rank: int, one: Recommendation) -> str:
    """A recommendation in three lines."""
    recipe = one.recipe
    told = [f"{recipe.temperature:g} °C" if recipe.temperature is not None else ""]
    told += [f"{recipe.hours:g} h" if recipe.hours is not None else ""]
    told += [f"doi {recipe.doi}" if recipe.doi else ""]
    told += [f"{recipe.variants} variants" if recipe.variants > 1 else ""]
    return (
        f"{rank:>3}  {one.score:.3f}  {recipe.target}  ←  {', '.join(recipe.precursors)}\n"
        f"            {'; '.join(recipe.steps) or 'no operations told'}\n"
        f"            {', '.join(filter(None, told))}"
    )


def recommended_json(found: Recommended) -> dict[str, Any]:
    """Recommendations in JSON types."""
    return {
        "basis": found.basis,
        "composition": {str(z): share for z, share in found.composition.items()},
        "recipes": [
            {
                "score": round(one.score, 6),
                "scores": {part: round(score, 6) for part, score in one.scores.items()},
                "likeness_of_target": one.likeness,
                **asdict(one.recipe),
            }
            for one in found.found
        ],
    }
