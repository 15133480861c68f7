"""The verbs that compare words with structures: screen and tag."""

import json
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro

from prismat.api import Prismat, load
from prismat.commands.talk import Run, hit_json, hits_table, plain_table, talking
from prismat.commands.use import FilterOptions
from prismat.errors import BadInputError
from prismat.search.index import Index
from prismat.store import Store
from prismat.tasks.opened import open_run, run_folder
from prismat.tasks.report import to_plain
from prismat.tasks.result import ResultPage, write_result
from prismat.tasks.screening import gallery
from prismat.tasks.screening.distribution import NARROW, DrawConfig
from prismat.tasks.screening.evaluation import (
    Bench,
    Part,
    ScreeningConfig,
    composition_model,
    evaluate_screening,
)
from prismat.tasks.screening.pages import screening_page, violin_page
from prismat.tasks.screening.prompts import (
    TEMPLATES,
    WORD_SETS,
    PromptConfig,
    Variations,
    prompts_for,
    query_vectors,
    variations_of,
)
from prismat.tasks.screening.protocol import ProtocolConfig
from prismat.tasks.screening.sorting import sort_by_phrases, sorted_result
from prismat.tasks.screening.tag_evaluation import evaluate_tagging, tagging_page
from prismat.tasks.screening.tagger import Tagger
from prismat.tasks.screening.tagging import Given, open_tagger, read_given, tag_source, tag_vectors
from prismat.tasks.screening.values import Values, predicted_values, store_name, true_values


@dataclass(frozen=True)
class PromptOptions:
    """How the query is worded.

    Attributes:
        prompts: own prompts in place of all others; ``{}`` stands for the query.
        templates: wordings around the query and its variations.
        variations: which other forms of a known word are asked too.
    """

    prompts: tuple[str, ...] = ()
    templates: tuple[str, ...] = TEMPLATES
    variations: Variations = "english"

    def config(self) -> PromptConfig:
        """As the task takes it."""
        return PromptConfig(self.variations, self.templates, self.prompts)


@dataclass(frozen=True)
class EvaluateOptions:
    """Judging in place of ranking.

    Attributes:
        evaluate: CLaSP's protocol on the titles of a held-out part.
        words: own words in place of CLaSP's six and of the twelve of AMCSD titles.
        part: which records are the gallery; test for ``--evaluate``, and for ``--violin`` held-out records
            of the run's own store or all of another one, where not given.
        baseline: a composition-only model; that of the run where not given.
        violin: phrases whose top is compared with a random draw.
        predictor: a saved head, or a predictor of ``prismat train --target``, that gives the values.
        property: a property of the store that gives the values.
        threshold: the share below it is compared.
        seed: of all draws.
    """

    evaluate: bool = False
    words: tuple[str, ...] = ()
    part: Part | None = None
    baseline: Path | None = None
    violin: tuple[str, ...] = ()
    predictor: Path | None = None
    property: str | None = None
    threshold: float = NARROW
    seed: int = 0


@dataclass(frozen=True)
class Screen:
    """Rank crystals by a word or a sentence, looking at their structures alone.

    Attributes:
        query: a word or a sentence.
        run_folder: a quickstart folder or a run.
        store: the crystals; that of the quickstart folder where neither this nor ``--index`` is given.
        index: an index folder made with the same model, in place of a store.
        k: crystals wanted, and size of the top of ``--violin``.
        wording: how the query is worded.
        filter: hard conditions.
        judging: ``--evaluate`` and ``--violin``.
        table: a .csv or .parquet file for the ranking.
        out: folder of pages and of embedded structures; ``RUN/tasks/screening`` where not given.
        json: print JSON.
    """

    query: tyro.conf.Positional[str] = ""
    run_folder: Run = Path("runs/quickstart")
    store: Path | None = None
    index: Path | None = None
    k: int = 100
    wording: Annotated[PromptOptions, tyro.conf.arg(name="")] = field(default_factory=PromptOptions)
    filter: Annotated[FilterOptions, tyro.conf.arg(name="")] = field(default_factory=FilterOptions)
    judging: Annotated[EvaluateOptions, tyro.conf.arg(name="")] = field(default_factory=EvaluateOptions)
    table: Path | None = None
    out: Path | None = None
    json: bool = False

    @property
    def folder(self) -> Path:
        """Where results go."""
        return self.out or run_folder(self.run_folder) / "tasks" / "screening"

    def run(self) -> None:
        """Ranks, or judges."""
        if sum([bool(self.query), self.judging.evaluate, bool(self.judging.violin)]) != 1:
            raise BadInputError(
                "nothing, or several things, to do",
                field="screen",
                remedy='Give a query, or --evaluate, or --violin "phrase" with --property or --predictor.',
            )
        if self.query:
            self.rank()
        elif self.judging.evaluate:
            self.evaluate()
        else:
            self.violin()

    def rank(self) -> None:
        """Ranks crystals and writes them where asked."""
        prompts = prompts_for(self.query, self.wording.config())
        prismat = load(self.run_folder)
        vector = query_vectors(prismat, [prompts])[0]
        hits = gallery.rank(prismat, self.opened_index(prismat), vector, self.k, self.filter.filter())
        if self.table is not None:
            gallery.write_table(gallery.hits_table(hits), self.table)
        if self.json:
            told = {"query": self.query, "prompts": prompts, "hits": [hit_json(h) for h in hits]}
            print(json.dumps(told, indent=2, ensure_ascii=False))
            return
        print(f"prompts, averaged: {'; '.join(prompts)}")
        print(hits_table(hits) if hits else "no crystal meets the conditions")
        if self.table is not None:
            print(f"{len(hits)} crystals → {self.table}")
        print(
            f"Next: prismat screen --evaluate --run {self.run_folder}, or prismat tag FILE.cif with that run"
        )

    def opened_index(self, prismat: Prismat) -> Index:
        """The gallery: an index folder, or a store, embedded where not yet done."""
        if self.index is not None:
            return Index.open(self.index, prismat.hash)
        with talking() as talk:
            store = Store(store_of(self.run_folder, self.store))
            return gallery.open_gallery(
                prismat, store, self.folder, lambda n, of: talk.bar("structures", n, of, {})
            )

    def evaluate(self) -> None:
        """CLaSP's protocol."""
        judging = self.judging
        own = {w: variations_of(w) for w in judging.words}
        config = ScreeningConfig(
            {"own": own} if own else dict(WORD_SETS), self.wording.config(), ProtocolConfig(seed=judging.seed)
        )
        with talking() as talk:
            bench = self.bench(talk)
            found = evaluate_screening(bench, part := judging.part or "test", config)
        result = {
            "store": store_name(bench.store),
            "part": part,
            "own_split": bench.opened.is_own,
            "sets": {n: {**s.figures, "prompts": s.prompts} for n, s in found.items()},
        }
        page = screening_page(found, part, store_name(bench.store))
        self.tell("screening", result, page, 'prismat screen "your words"')

    def violin(self) -> None:
        """Tops of rankings against a random draw."""
        judging = self.judging
        if (judging.predictor is None) == (judging.property is None):
            raise BadInputError(
                "values from nowhere, or from two sources",
                field="violin",
                remedy="Give --property of the store, or --predictor FOLDER.",
            )
        with talking() as talk:
            bench = self.bench(talk)

            def values_of(rows: np.ndarray) -> Values:
                if judging.property is not None:
                    return true_values(bench.store, judging.property, rows)
                bar = lambda n, of: talk.bar("values", n, of, {})  # noqa: E731
                return predicted_values(judging.predictor, bench.store, rows, bar)  # ty: ignore[invalid-argument-type]

            draw = DrawConfig(self.k, judging.threshold, seed=judging.seed)
            found = sort_by_phrases(
                bench, values_of, judging.violin, judging.part, self.wording.config(), draw
            )
        result = sorted_result(found, bench.store)
        page = violin_page(found.compared, found.values, result)
        self.tell("violins", result, page, f'prismat screen "{judging.violin[0]}" --run {self.run_folder}')

    def bench(self, talk: Any) -> Bench:
        """The run, and the composition-only model beside it, on the store."""
        store = Store(store_of(self.run_folder, self.store))
        opened = open_run(self.run_folder, store)
        baseline = self.judging.baseline or composition_model(self.run_folder)
        bar = lambda n, of: talk.bar("structures", n, of, {})  # noqa: E731
        return Bench(opened, self.folder, baseline, bar)

    def tell(self, name: str, result: dict[str, Any], page: ResultPage, then: str) -> None:
        """Writes the page and says what is in it."""
        path = write_result(self.folder, name, result, page)
        if self.json:
            print(json.dumps(to_plain(result), indent=2, ensure_ascii=False))
            return
        for table in page.tables:
            print(f"\n{table.title}\n{plain_table(table.head, table.rows)}")
        print(f"\n{page.lede}\n\nPage: {path}\nNext: {then}")


def store_of(run: Path, given: Path | None) -> Path:
    """The store that is asked for, or that of a quickstart folder.

    Raises:
        BadInputError: none is given and the run has none beside it.
    """
    if given is not None:
        return given
    beside = [run / "store", run_folder(run).parent / "store"]
    found = next((s for s in beside if (s / "store.json").is_file()), None)
    if found is None:
        raise BadInputError(f"no store beside {run}", field="store", remedy="Name it with --store.")
    return found


@dataclass(frozen=True)
class Tag:
    """Rank the words that fit a structure: keywords of the titles that the model was trained on.

    Attributes:
        structures: CIF or POSCAR files, or ids of records of the store.
        run_folder: a quickstart folder or a run.
        store: the store that the run was trained on; that of the quickstart folder where not given.
        k: words for each structure.
        prior: weight of how common a word is; 0 for rarer, more telling words. What found most of the
            validation titles' words where not given.
        chemistry: list words of elements, compounds and minerals too.
        evaluate: judge by the test titles' own words instead.
        part: which records are judged.
        baseline: a composition-only model; that of the run where not given.
        out: folder of words and pages; ``RUN/tasks/tagging`` where not given.
        json: print JSON.
    """

    structures: tyro.conf.Positional[tuple[str, ...]] = ()
    run_folder: Run = Path("runs/quickstart")
    store: Path | None = None
    k: int = 10
    prior: float | None = None
    chemistry: bool = True
    evaluate: bool = False
    part: Literal["val", "test"] = "test"
    baseline: Path | None = None
    out: Path | None = None
    json: bool = False

    def run(self) -> None:
        """Tags, or judges."""
        if bool(self.structures) == self.evaluate:
            raise BadInputError(
                "nothing, or two things, to do", field="tag", remedy="Name files or ids, or give --evaluate."
            )
        with talking() as talk:
            store = Store(store_of(self.run_folder, self.store))
            opened = open_run(self.run_folder, store)
            baseline = self.baseline or composition_model(self.run_folder)
            galleries = self.folder.parent / "screening"
            bench = Bench(opened, galleries, baseline, lambda n, of: talk.bar("structures", n, of, {}))
            if self.evaluate:
                result = evaluate_tagging(tag_source(bench), self.part)
            else:
                tagger = self.weighed(open_tagger(bench, self.folder))
                index = gallery.open_gallery(opened.prismat, store, galleries)
                given = read_given(opened.prismat, self.structures, store, index)
        if self.evaluate:
            self.judged(result, store_name(store))
        else:
            self.tagged(tagger, given)

    def weighed(self, tagger: Tagger) -> Tagger:
        """With the prior that was asked for."""
        if self.prior is None:
            return tagger
        return replace(tagger, choice=replace(tagger.choice, prior=self.prior))

    @property
    def folder(self) -> Path:
        """Where words and pages go."""
        return self.out or run_folder(self.run_folder) / "tasks" / "tagging"

    def judged(self, result: dict[str, Any], store: str) -> None:
        """Writes the page of the evaluation and says what is in it."""
        page = tagging_page(result, store)
        path = write_result(self.folder, "tagging", result, page)
        if self.json:
            print(json.dumps(to_plain(result), indent=2, ensure_ascii=False))
            return
        for table in page.tables:
            print(f"\n{table.title}\n{plain_table(table.head, table.rows)}\n{table.aside}")
        print(f"\n{page.lede}\n\nPage: {path}\nNext: prismat tag FILE.cif --run {self.run_folder}")

    def tagged(self, tagger: Tagger, given: Given) -> None:
        """Prints the words of each structure and what could not be read."""
        tags = tag_vectors(tagger, given.vectors, self.k, self.chemistry) if given.names else []
        if self.json:
            found = {name: [asdict(t) for t in some] for name, some in zip(given.names, tags, strict=True)}
            scored = {"correction": tagger.choice.correction, "prior": tagger.choice.prior}
            told = {"scored_by": scored, "tags": found, "failed": given.failed}
            print(json.dumps(told, indent=2, ensure_ascii=False))
        else:
            for name, some in zip(given.names, tags, strict=True):
                rows = [[t.word, f"{t.score:.2f}", f"{t.cosine:.3f}", f"{t.count}"] for t in some]
                print(f"{name}\n{plain_table(['word', 'score', 'cosine', 'titles'], rows)}\n")
            if given.names:
                print(f"Next: prismat screen {tags[0][0].word!r} --run {self.run_folder}")
        for name, reason in given.failed.items():
            print(f"left out: {name}: {reason}", file=sys.stderr)
        if not given.names:
            raise BadInputError(
                f"none of {len(given.failed)} structures could be read",
                field="tag",
                remedy="See the reasons above.",
            )
