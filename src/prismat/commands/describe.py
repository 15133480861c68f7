"""The verb that adds texts to a store: templates, robocrystallographer, keywords and narratives."""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import tyro

from prismat.commands.talk import talking
from prismat.errors import BadInputError
from prismat.files import write_text
from prismat.material import Reject
from prismat.packaged import cache_dir
from prismat.store import Store
from prismat.store_texts import write_texts
from prismat.tasks.quickstart import Talk
from prismat.texts import of_store, template
from prismat.texts.asking import ask_all, estimate, token_counter
from prismat.texts.cache import TextCache
from prismat.texts.keywords import KEYWORDS, local_keywords
from prismat.texts.language_model import ChatClient, Endpoint
from prismat.texts.narratives import NARRATIVE
from prismat.texts.prompts import Prompt
from prismat.texts.robocrys import RobocrysSettings, robocrys_texts, robocrys_version

Kind = Literal["template", "template_global", "template_local", "robocrys", "keywords", "narrative"]
Made = tuple[dict[str, str], list[Reject], dict[str, Any]]
"""Texts by id, records without one, and what made them."""


@dataclass(frozen=True)
class ModelOptions:
    """The language model, of ``--method llm``.

    Attributes:
        endpoint: address up to ``/chat/completions`` of any OpenAI-compatible server, such as
            ``http://localhost:11434/v1`` (Ollama) or ``http://localhost:8000/v1`` (vLLM).
        model: name of the model there.
        api_key_env: environment variable that holds the key; the key itself is never given here.
        temperature: 0 for the likeliest answer.
        seed: of the sampling.
        concurrency: requests under way at a time.
        request_timeout: seconds without an answer.
        price_in: of a million tokens read, for the estimate of cost.
        price_out: of a million tokens written.
        tokenizer: a ``tokenizer.json`` to count tokens with; four characters each where not given.
    """

    endpoint: str = ""
    model: str = ""
    api_key_env: str = ""
    temperature: float = 0.0
    seed: int = 0
    concurrency: int = 8
    request_timeout: float = 120.0
    price_in: float = 0.0
    price_out: float = 0.0
    tokenizer: Path | None = None

    def resolved(self) -> Endpoint:
        """The endpoint.

        Raises:
            BadInputError: a number makes no sense.
        """
        if self.concurrency < 1:
            raise BadInputError("no request may be under way", field="concurrency", remedy="Give 1 or more.")
        return Endpoint(
            self.endpoint,
            self.model,
            self.api_key_env,
            self.temperature,
            self.seed,
            concurrency=self.concurrency,
            timeout=self.request_timeout,
        )


@dataclass(frozen=True)
class Describe:
    """Add texts to a store: descriptions, keywords, narratives. Resumes.

    Attributes:
        store: made by ``prismat prepare``.
        kind: ``template`` tells composition, symmetry, density, dimensionality and coordination;
            ``template_global`` and ``template_local`` the first four and the last alone; ``robocrys`` is
            robocrystallographer's; ``keywords`` come from title and abstract; ``narrative`` is a paragraph
            by a language model.
        method: ``local`` without a language model, ``llm`` with one; where not given, narratives are ``llm``
            and all else ``local``.
        language_model: which, where and how.
        dry_run: say what would be done and what it would cost; ask nothing, write nothing.
        limit: records at most; 0 for all.
        workers: processes of ``robocrys``; 0 for one per processor.
        timeout: seconds for one crystal of ``robocrys``.
    """

    store: Path = Path("stores/amcsd")
    kind: Kind = "template"
    method: Literal["local", "llm"] | None = None
    language_model: Annotated[ModelOptions, tyro.conf.arg(name="")] = field(default_factory=ModelOptions)
    dry_run: bool = False
    limit: int = 0
    workers: int = 0
    timeout: float = 120.0

    def run(self) -> None:
        """Makes the texts and says what was written."""
        asks = self.asks()
        store = Store(self.store)
        rows = of_store.rows_without(store, self.kind, self.limit)
        if not rows:
            raise BadInputError(f"every record came with {self.kind}", field="kind", remedy="Nothing to add.")
        with talking() as talk:
            if self.dry_run:
                self.dry(store, rows, talk, asks)
                return
            started = time.monotonic()
            texts, rejects, made_by = self.asked(store, rows, talk) if asks else self.local(store, rows, talk)
            seconds = time.monotonic() - started
        self.write(texts, rejects, {**made_by, "limit": self.limit, "seconds": round(seconds, 1)})

    def asks(self) -> bool:
        """Whether a language model is asked.

        Raises:
            BadInputError: the kind of text is not made by that method.
        """
        method = self.method or ("llm" if self.kind == "narrative" else "local")
        remedy = "Leave --method out."
        if method == "llm" and self.kind not in ("keywords", "narrative"):
            raise BadInputError(
                f"{self.kind} is made without a language model", field="method", remedy=remedy
            )
        if method == "local" and self.kind == "narrative":
            raise BadInputError("narratives need a language model", field="method", remedy=remedy)
        return method == "llm"

    def local(self, store: Store, rows: list[int], talk: Talk) -> Made:
        """Texts that need no language model."""
        made_by = {"method": self.kind, "prismat": version("prismat"), **of_store.terms(store)}
        if self.kind == "robocrys":
            return self.robocrys(store, rows, talk, made_by)
        if self.kind == "keywords":
            given, rejects = of_store.keyword_inputs(store, rows)
            found = {record: local_keywords(text) for record, text in given.items()}
            rejects += [Reject(record, "no keyword found") for record, text in found.items() if not text]
            texts = {record: text for record, text in found.items() if text}
            return texts, rejects, {**made_by, "method": "keywords, local"}
        variants = {name: name for name in get_args(template.Variant)}
        texts, rejects = of_store.template_texts(
            store, rows, variants[self.kind], lambda done, all_: talk.bar("describe", done, all_, {})
        )
        return texts, rejects, {**made_by, "version": template.VERSION}

    def robocrys(self, store: Store, rows: list[int], talk: Talk, made_by: dict[str, Any]) -> Made:
        """Descriptions by robocrystallographer."""
        made_by = {**made_by, "version": robocrys_version()}
        found = dict(of_store.crystals_of(store, rows))
        crystals = {record: crystal for record, crystal in found.items() if crystal is not None}
        rejects = [Reject(record, of_store.NO_STRUCTURE) for record in found if record not in crystals]
        settings = RobocrysSettings(self.workers, self.timeout)
        with TextCache(_caches() / "robocrys.sqlite") as cache:
            texts, failed = robocrys_texts(
                crystals, cache, settings, lambda done, all_: talk.bar("describe", done, all_, {})
            )
        return texts, rejects + failed, made_by

    def asked(self, store: Store, rows: list[int], talk: Talk) -> Made:
        """Texts by a language model."""
        endpoint = self.language_model.resolved()
        # What is wrong with the endpoint is said before the facts are gathered.
        ChatClient(endpoint)
        prompt, given, rejects = self.inputs(store, rows, talk)
        with TextCache(_caches() / "language_model.sqlite") as cache:
            talk.note(self.expected(prompt, given, cache))
            asked = ask_all(
                given, prompt, endpoint, cache, lambda done, all_: talk.bar("ask", done, all_, {})
            )
        prices = (self.language_model.price_in, self.language_model.price_out)
        cost = (asked.prompt_tokens * prices[0] + asked.completion_tokens * prices[1]) / 1e6
        made_by = {
            "method": f"{self.kind}, language model",
            "prismat": version("prismat"),
            "model": endpoint.model,
            "prompt_sha256": prompt.hash,
            "temperature": endpoint.temperature,
            "seed": endpoint.seed,
            "requests": asked.requests,
            "prompt_tokens": asked.prompt_tokens,
            "completion_tokens": asked.completion_tokens,
            "cost": round(cost, 6),
            **of_store.terms(store, endpoint.model),
        }
        return asked.texts, rejects + asked.rejects, made_by

    def inputs(
        self, store: Store, rows: list[int], talk: Talk
    ) -> tuple[Prompt, dict[str, str], list[Reject]]:
        """The prompt, what is asked about by id, and the records about which there is nothing to ask."""
        if self.kind == "keywords":
            return (KEYWORDS, *of_store.keyword_inputs(store, rows))
        bar = lambda done, all_: talk.bar("facts", done, all_, {})  # noqa: E731
        return (NARRATIVE, *of_store.narrative_inputs(store, rows, bar))

    def expected(self, prompt: Prompt, given: dict[str, str], cache: TextCache) -> str:
        """What asking will take, as a sentence."""
        options = self.language_model
        prices = (options.price_in, options.price_out)
        found = estimate(given, prompt, options.resolved(), cache, prices, token_counter(options.tokenizer))
        cost = f"cost about {found.cost:,.2f}" if any(prices) else "no price given (--price-in, --price-out)"
        return (
            f"{found.requests:,} requests for {found.records:,} records, about {found.prompt_tokens:,} "
            f"tokens in and {found.completion_tokens:,} out, {cost}"
        )

    def dry(self, store: Store, rows: list[int], talk: Talk, asks: bool) -> None:
        """Says what would be done."""
        if not asks:
            print(f"{len(rows):,} records would be described. Nothing was done.")
            return
        prompt, given, rejects = self.inputs(store, rows, talk)
        with TextCache(_caches() / "language_model.sqlite") as cache:
            print(self.expected(prompt, given, cache))
        if rejects:
            print(f"{len(rejects):,} records have nothing to ask about")
        for message in prompt.messages(next(iter(given.values()))) if given else []:
            print(f"\n--- {message['role']} ---\n{message['content']}")
        print("\nNothing was asked.")

    def write(self, texts: dict[str, str], rejects: list[Reject], made_by: dict[str, Any]) -> None:
        """Writes texts and rejects, and says so."""
        path = self.store / "texts" / f"{self.kind}.rejects.jsonl"
        if texts:
            write_texts(self.store, self.kind, texts, {**made_by, "rejected": len(rejects)})
        write_text(path, "".join(_lines(rejects)))
        counts = f"{len(texts):,} texts, {len(rejects):,} rejected"
        print(f"{counts}, {made_by['seconds']:.0f} s → {self.store / 'texts'}")
        if rejects:
            print(f"Rejects with reasons: {path}")
        if not texts:
            raise BadInputError("no record got a text", field=self.kind, remedy=f"See {path}.")
        print(f"Made by: {made_by['method']}; {made_by['licence_note']}")
        print(f"Next: prismat train --store {self.store}")


def _caches() -> Path:
    return cache_dir() / "texts"


def _lines(rejects: Iterable[Reject]) -> Iterable[str]:
    return (json.dumps(asdict(reject), ensure_ascii=False) + "\n" for reject in rejects)
