"""Verbs of discovery: design (crystals for a target) and campaign (which record to measure next)."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from prismat.commands.talk import Run, plain_table, talking
from prismat.commands.use import FilterOptions
from prismat.errors import BadInputError
from prismat.formats import read_crystal
from prismat.formats_measured import read_measured
from prismat.formats_xrd import read_xy
from prismat.measurements import Dos
from prismat.search.filters import Filter
from prismat.store import Store
from prismat.tasks.active.campaign import LOG, CampaignConfig
from prismat.tasks.active.goals import parse_goal
from prismat.tasks.active.strategies import Strategy
from prismat.tasks.active.task import run_campaigns, suggest_records
from prismat.tasks.design.candidates import PartName
from prismat.tasks.design.spectra import DosWindow
from prismat.tasks.design.target import Mode, Target
from prismat.tasks.design.task import Screening, judge_dos, judge_numbers, run_design, verify_design
from prismat.tasks.design.trials import TrialConfig
from prismat.tasks.design.verify import VerifyConfig, read_computed_dos
from prismat.tasks.design.wants import parse_want
from prismat.tasks.report import to_plain

STABLE = "e_above_hull"
"""Property that ``--stable`` limits, in eV per atom as the Materials Project gives it."""
_DOS_WINDOWS: tuple[DosWindow, ...] = ("dos", "phonon_dos")


@dataclass(frozen=True)
class WantedOptions:
    """What a material should be like, one thing or several at once.

    Attributes:
        want: numbers: ``band_gap=1.0:1.6:eV`` (a side may be empty), ``band_gap=1.3~0.3:eV``,
            ``band_gap=max``, ``band_gap=min``.
        text: words.
        structure: a CIF or POSCAR file to resemble.
        xrd: a .xy or .xye file of a powder pattern.
        wavelength: of the pattern in Å.
        dos: an electronic DOS: DOSCAR, vasprun.xml, or ``results/NAME.json`` of ``prismat compute``.
        phonon_dos: a phonon DOS: phonopy's total_dos.dat.
    """

    want: tuple[str, ...] = ()
    text: str | None = None
    structure: Path | None = None
    xrd: Path | None = None
    wavelength: float = 1.54184
    dos: Path | None = None
    phonon_dos: Path | None = None

    def target(self, mode: Mode, weights: dict[str, float]) -> Target:
        """As the task takes it, files read."""
        files = {"dos": self.dos, "phonon_dos": self.phonon_dos}
        read = {window: _read_dos(window, path) for window, path in files.items() if path}
        pattern = read_xy(self.xrd, record=str(self.xrd), wavelength=self.wavelength) if self.xrd else None
        return Target(
            wants=tuple(parse_want(text) for text in self.want),
            text=self.text,
            structure=read_crystal(self.structure, record=str(self.structure)) if self.structure else None,
            pattern=pattern,
            dos={w: d for w, d in read.items() if isinstance(d, Dos)},
            mode=mode,
            weights=weights,
        )


def _read_dos(window: str, path: Path) -> object:
    """A DOS from a file of any kind."""
    return read_computed_dos(path)[1] if path.suffix == ".json" else read_measured(window, path)


@dataclass(frozen=True)
class JudgeOptions:
    """Judges the screening itself on random targets in place of answering one.

    Attributes:
        evaluate: properties that are wanted together, or ``dos`` or ``phonon_dos`` alone; held-out records of
            the first store are targets and pool.
        baseline_run: a run of the same windows that reads compositions alone, beside the built-in baselines.
        targets: how many random targets.
        width: half the width of their ranges, as a share of the spread of the training values.
    """

    evaluate: tuple[str, ...] = ()
    baseline_run: Path | None = None
    targets: int = 300
    width: float = 0.2


@dataclass(frozen=True)
class Design:
    """Find crystals for a target: numbers, words, a DOS, a pattern, a structure, or several at once.

    Attributes:
        run_folder: a run, a quickstart folder or a model.
        store: whose records are the candidates; several are screened together.
        wanted: the target.
        mode: how numbers are scored: ``predicted`` and ``joint`` never look at the candidates' own values,
            ``known`` uses them.
        weights: by part of the target, 1 where left out.
        filter: hard conditions; of properties on known values.
        stable: largest energy above the convex hull in eV per atom; only records that have it pass.
        reference: a store whose training part predictions are learnt from; the first candidates' own where
            left out.
        predictor: heads or predictors whose values are used in place of it.
        part: of the stores' divisions; ``test`` for records that the model has not seen.
        k: results wanted.
        verify: with ``--dos``, so many of the first small crystals, and as many random ones, are computed
            with Abinit and their DOS compared with the target.
        judge: random targets in place of one.
        out: folder of the page; ``RUN/tasks/design`` where left out.
        json: print JSON.
    """

    run_folder: Run = Path("runs/quickstart")
    store: tuple[Path, ...] = (Path("stores/amcsd"),)
    wanted: Annotated[WantedOptions, tyro.conf.arg(name="")] = field(default_factory=WantedOptions)
    mode: Mode = "predicted"
    weights: dict[str, float] = field(default_factory=dict)
    filter: Annotated[FilterOptions, tyro.conf.arg(name="")] = field(default_factory=FilterOptions)
    stable: float | None = None
    reference: Path | None = None
    predictor: tuple[Path, ...] = ()
    part: PartName = "all"
    k: int = 20
    verify: int = 0
    judge: Annotated[JudgeOptions, tyro.conf.arg(name="")] = field(default_factory=JudgeOptions)
    out: Path | None = None
    json: bool = False

    def run(self) -> None:
        """Screens or judges, and says what was written."""
        folder = self.out or self.run_folder / "tasks" / "design"
        stores = [Store(path) for path in self.store]
        if not stores:
            raise BadInputError("no store", field="store", remedy="Name one at least.")
        result = self._judge(stores[0], folder) if self.judge.evaluate else self._screen(stores, folder)
        if self.json:
            print(json.dumps(to_plain(result), indent=2, ensure_ascii=False))

    def _screen(self, stores: list[Store], folder: Path) -> dict[str, Any]:
        target = self.wanted.target(self.mode, self.weights)
        if self.verify and "dos" not in target.dos:
            raise BadInputError(
                "no DOS to compare with", field="verify", remedy="Give the target with --dos."
            )
        reference = Store(self.reference) if self.reference else None
        screening = Screening(target, self._conditions(), self.part, self.k, self.predictor)
        with talking() as talk:
            talk.note("embedding the candidates")
            design, page = run_design(self.run_folder, stores, screening, folder, reference)
            result = design.to_dict()
            if self.verify:
                own = self.wanted.dos
                names = (read_computed_dos(own)[0],) if own and own.suffix == ".json" else ()
                config = VerifyConfig(self.verify, without=names)
                result["verified"], page = verify_design(
                    design, folder, config, lambda done, total: talk.bar("abinit", done, total, {})
                )
        if not self.json:
            _say_hits(result)
            _say_verified(result.get("verified"))
            print(f"\n→ {page}")
            print(f"Next: prismat design --run {self.run_folder} --store {self.store[0]} --evaluate PROPERTY")
        return result

    def _conditions(self) -> Filter:
        given = self.filter.filter()
        if self.stable is None:
            return given
        if STABLE in given.properties:
            raise BadInputError(
                f"a range of {STABLE} and --stable", field="stable", remedy="Give one of the two."
            )
        return replace(given, properties={**given.properties, STABLE: (None, self.stable)})

    def _judge(self, store: Store, folder: Path) -> dict[str, Any]:
        options = self.judge
        window = next((w for w in _DOS_WINDOWS if w in options.evaluate), None)
        k = min(self.k, 10)
        part = "test" if self.part == "all" else self.part
        with talking() as talk:
            talk.note("embedding held-out records")
            if window is not None:
                if len(options.evaluate) > 1:
                    raise BadInputError(
                        f"{window} and other things", field="evaluate", remedy="Judge a DOS alone."
                    )
                result, page = judge_dos(
                    self.run_folder, store, window, folder, (options.baseline_run, k, part)
                )
            else:
                config = TrialConfig(options.evaluate, options.targets, options.width, k)
                result, page = judge_numbers(
                    self.run_folder, store, config, folder, (options.baseline_run, part)
                )
        if not self.json:
            _say_systems(result, window is not None)
            print(f"\n→ {page}")
            print(
                f"Next: prismat design --run {self.run_folder} --store {store.folder} --want "
                "NAME=LOW:HIGH:UNIT"
            )
        return result


def _say_hits(result: dict[str, Any]) -> None:
    """The ranking as text."""
    names = list(result["weights"])
    head = ["id", "formula", "space group", "total", "front", *names]
    rows = []
    for hit in result["hits"]:
        shown = [_shown(hit["parts"][n]) for n in names]
        rows.append(
            [hit["id"], hit["formula"], hit["spacegroup"], f"{hit['total']:.3f}", str(hit["front"]), *shown]
        )
    print(
        f"{result['target']}: {result['passing']:,} of {result['candidates']:,} candidates meet the "
        "conditions\n"
    )
    print(plain_table(head, rows))
    for name, c in result["checks"].items():
        print(
            f"\nKnown values of {name}: {c['first_inside']} of {c['first_known']} of these lie in "
            "the range, of all "
            f"{c['all_inside']:,} of {c['all_known']:,}."
        )
    for pair in result["at_odds"]:
        rho, low, high = result["correlations"][pair]
        print(
            f"At odds: {pair.replace(' | ', ' and ')}, rank correlation {rho:+.2f} ({low:+.2f} to "
            f"{high:+.2f})."
        )


def _say_verified(found: dict[str, Any] | None) -> None:
    """Computed DOS errors as text."""
    if found is None:
        return
    rows = [
        [name, line["id"], line["formula"], str(line["rank"]), _error_or_failure(line)]
        for name in ("hits", "random")
        for line in found[name]
    ]
    print(f"\nComputed: {found['method']}\n")
    print(plain_table(["", "id", "formula", "rank", "states elsewhere"], rows))
    means = [f"{n} {found[f'mean_{n}']:.3f}" for n in ("hits", "random") if found[f"mean_{n}"] is not None]
    print(f"Mean: {', '.join(means)}")


def _error_or_failure(line: dict[str, Any]) -> str:
    return f"{line['error']:.3f}" if "error" in line else line["failure"]


def _shown(part: dict[str, float]) -> str:
    """Value, spread, and the known value beside it."""
    spread = f"±{part['deviation']:.2g}" if "deviation" in part else ""
    known = f" ({part['known']:.3g})" if "known" in part else ""
    return f"{part['value']:.3g}{spread}{known}"


def _say_systems(result: dict[str, Any], is_dos: bool) -> None:
    """Judged systems as text."""
    keys = ("top_1", "top_k") if is_dos else ("precision", "enrichment", "error")
    told = lambda f: f"{f[0]:.3f} ({f[1]:.3f}–{f[2]:.3f})"  # noqa: E731
    rows = [[name, *(told(figures[key]) for key in keys)] for name, figures in result["systems"].items()]
    heads = ("error of the first", f"error of the first {result['k']}") if is_dos else keys
    print(f"{result['targets']} targets, {result['pool']:,} candidates, the first {result['k']} looked at\n")
    print(plain_table(["system", *heads], rows))


@dataclass(frozen=True)
class Campaign:
    """Simulate a campaign of measurements over a pool with hidden values, or suggest the next ones. Resumes.

    Attributes:
        run_folder: the run whose frozen embeddings the surrogate reads.
        store: the records.
        target: the property that is measured.
        goal: ``maximise``, ``minimise``, or a range ``low:high`` in the unit of the store.
        config: strategies and length.
        other_runs: further runs whose embeddings are compared; each is named by its folder.
        part: of the store's division that makes the pool of a simulation.
        most: largest pool; more are drawn from.
        suggest: in place of a simulation, so many records of the store without a value, given all known ones.
        strategy: how these are chosen.
        out: folder of log and page; ``RUN/tasks/campaign`` where left out.
        json: print JSON.
    """

    run_folder: Run = Path("runs/quickstart")
    store: Path = Path("stores/amcsd")
    target: str = ""
    goal: str = "maximise"
    config: CampaignConfig = field(default_factory=CampaignConfig)
    other_runs: tuple[Path, ...] = ()
    part: PartName = "test"
    most: int = 4000
    suggest: int = 0
    strategy: Strategy = "expected_improvement"
    out: Path | None = None
    json: bool = False

    def run(self) -> None:
        """Simulates or suggests, and says what was written."""
        folder = self.out or self.run_folder / "tasks" / "campaign"
        goal, store = parse_goal(self.goal), Store(self.store)
        if self.suggest:
            self._suggest(store, folder)
            return
        with talking() as talk:
            runs = (self.run_folder, *self.other_runs)
            summary, page = run_campaigns(
                runs,
                store,
                (self.target, goal),
                self.config,
                (self.part, self.most),
                folder,
                lambda done, total: talk.bar("campaigns", done, total, {}),
            )
        if self.json:
            print(json.dumps(to_plain(summary), indent=2, ensure_ascii=False))
            return
        _say_campaigns(summary)
        print(f"\n→ {page}, every choice in {folder / LOG}")
        print(
            f"Next: prismat campaign --run {self.run_folder} --store STORE --target {self.target} "
            "--suggest 10"
        )

    def _suggest(self, store: Store, folder: Path) -> None:
        result, page = suggest_records(
            self.run_folder,
            store,
            (self.target, parse_goal(self.goal)),
            (self.suggest, self.strategy),
            folder,
        )
        if self.json:
            print(json.dumps(to_plain(result), indent=2, ensure_ascii=False))
            return
        rows = [
            [r["id"], r["formula"], r["spacegroup"], f"{r['mean']:.3g} ± {r['deviation']:.2g}"]
            for r in result["rows"]
        ]
        print(f"{result['known']:,} known values; chosen from {result['candidates']:,} records without one\n")
        print(plain_table(["id", "formula", "space group", f"{self.target}, {result['unit']}"], rows))
        print(f"\n→ {page}\nNext: measure these, add the values to the store, and ask again")


def _say_campaigns(summary: dict[str, Any]) -> None:
    """Strategies as text, the best first."""
    rows = []
    for name, f in sorted(summary["curves"].items(), key=lambda item: -item[1]["found"][0]):
        value, low, high = f["found"]
        half = f["measurements"]["0.5"]
        rows.append(
            [
                name,
                f"{value:.3f} ({low:.3f}–{high:.3f})",
                f"{f['enrichment'][0]:.1f}",
                "–" if half is None else f"{half:.0f}",
                "–" if half is None else f"{f['acceleration']['0.5']:.1f}",
            ]
        )
    print(
        f"{summary['hits']} hits among {summary['pool']:,} records, {summary['budget']} measurements "
        f"({summary['chance']:.3f} of the pool)\n"
    )
    print(plain_table(["strategy", "hits found", "enrichment", "to half", "times faster"], rows))
