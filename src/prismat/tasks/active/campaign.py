"""A campaign over a pool whose values are hidden until they are measured, written down line by line."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.errors import BadInputError, MismatchError
from prismat.files import digest
from prismat.tasks.active.gaussian_process import Hyper, squared_distances
from prismat.tasks.active.goals import Goal
from prismat.tasks.active.strategies import STRATEGIES, Situation, Strategy, choose

LOG = "campaign.jsonl"
Told = Callable[[int, int], None]


@dataclass(frozen=True)
class CampaignConfig:
    """Length of a campaign, and what is compared.

    Attributes:
        strategies: how batches are chosen.
        initial: records measured before the first choice, drawn at random, the same for all strategies.
        batch: records per round.
        rounds: choices after the first records.
        seeds: campaigns of every strategy, each from other first records.
        top: share of the pool that counts as worth finding where the goal is no range.

    Raises:
        BadInputError: no strategy, a length below 1 or a share outside 0 … 1.
    """

    strategies: tuple[Strategy, ...] = STRATEGIES
    initial: int = 20
    batch: int = 20
    rounds: int = 15
    seeds: int = 10
    top: float = 0.01

    def __post_init__(self) -> None:
        if not self.strategies:
            raise BadInputError(
                "no strategy", field="strategies", remedy=f"Use some of {', '.join(STRATEGIES)}."
            )
        if self.initial < 2 or min(self.batch, self.rounds, self.seeds) < 1 or not 0 < self.top < 1:
            raise BadInputError(
                f"initial {self.initial}, batch {self.batch}, rounds {self.rounds}, seeds {self.seeds}, "
                f"top {self.top:g}",
                field="campaign",
                remedy="Give two first records at least, positive lengths and a share between 0 and 1.",
            )

    @property
    def budget(self) -> int:
        """Measurements of one campaign."""
        return self.initial + self.batch * self.rounds


@dataclass(frozen=True, eq=False)
class Pool:
    """Records of which one value each is to be found out.

    Attributes:
        ids: of the records.
        values: true values, shown one by one.
        features: by name, what a surrogate reads, shape (records, dim).
    """

    ids: list[str]
    values: Float[np.ndarray, " records"]
    features: dict[str, Float[np.ndarray, "records _"]]

    def check(self, config: CampaignConfig) -> None:
        """Refuses a pool that a campaign would use up.

        Raises:
            BadInputError: fewer records than measurements, a value that is not finite, or equal values.
        """
        if len(self.ids) <= config.budget:
            raise BadInputError(
                f"{len(self.ids)} records for {config.budget} measurements",
                field="pool",
                remedy="Take a larger pool, or fewer rounds or smaller batches.",
            )
        if not np.isfinite(self.values).all() or np.ptp(self.values) == 0:
            raise BadInputError(
                "values that are equal, or not finite", field="pool", remedy="Choose another property."
            )


@dataclass(frozen=True, eq=False)
class History:
    """What one campaign measured.

    Attributes:
        features: by which its surrogate saw the records.
        strategy: how it chose.
        seed: of its first records.
        rows: in the order of measurement, shape (budget,).
    """

    features: str
    strategy: Strategy
    seed: int
    rows: Int[np.ndarray, " budget"]


def standardised(features: Float[np.ndarray, "records dim"]) -> Float[np.ndarray, "records some"]:
    """Columns of mean 0 and spread 1 over the pool; those that do not vary are left out."""
    features = features.astype(np.float64)
    spread = features.std(axis=0)
    varying = spread > 1e-8 * (1 + np.abs(features).max(axis=0))
    return (features[:, varying] - features[:, varying].mean(axis=0)) / spread[varying]


def simulate(
    pool: Pool, goal: Goal, config: CampaignConfig, folder: Path, told: Told = lambda _, __: None
) -> list[History]:
    """Every strategy from every seed with every kind of features; goes on where an earlier run stopped.

    Strategies that read no features (``random``) are run once. Rounds are written to ``campaign.jsonl`` as
    they end, with the hyper-parameters from which the next one starts, so that a resumed campaign chooses
    exactly what an uninterrupted one would have.

    Args:
        pool: records and hidden values.
        goal: what is looked for.
        config: length and strategies.
        folder: of the log.
        told: called with finished and all campaigns.

    Raises:
        BadInputError: a pool that is too small, or values that say nothing.
        MismatchError: the folder holds the log of another campaign.
    """
    pool.check(config)
    log = Log(Path(folder) / LOG, _identity(pool, goal, config))
    first = next(iter(pool.features))
    plans = [
        (name, strategy, seed)
        for name in pool.features
        for strategy in config.strategies
        for seed in range(config.seeds)
        if name == first or strategy != "random"
    ]
    found, squared, shown = [], np.zeros((0, 0)), ""
    for done, (name, strategy, seed) in enumerate(plans):
        started = log.read(name, strategy, seed)
        if name != shown and len(started.rows) < config.budget:
            x = standardised(pool.features[name])
            squared, shown = squared_distances(x, x), name
        rows = _one(pool, goal, config, started, squared, log)
        found.append(History(name, strategy, seed, np.array(rows)))
        told(done + 1, len(plans))
    return found


@dataclass(frozen=True, eq=False)
class Started:
    """As much of one campaign as is written down.

    Attributes:
        key: features, strategy and seed.
        rows: measured so far.
        rounds: choices so far, −1 before the first records.
        hyper: from which the next fit starts.
    """

    key: tuple[str, Strategy, int]
    rows: list[int]
    rounds: int
    hyper: Hyper | None


def _one(
    pool: Pool,
    goal: Goal,
    config: CampaignConfig,
    started: Started,
    squared: Float[np.ndarray, "pool pool"],
    log: "Log",
) -> list[int]:
    """One campaign from where it stands to its end."""
    rows, hyper, (_, strategy, seed) = list(started.rows), started.hyper, started.key
    if started.rounds < 0:
        rng = np.random.default_rng(seed)
        rows = rng.choice(len(pool.ids), size=config.initial, replace=False).tolist()
        log.write(started.key, 0, rows, None)
    for number in range(max(started.rounds, 0) + 1, config.rounds + 1):
        known = np.array(rows)
        situation = Situation(squared, known, pool.values[known], goal, hyper)
        # Each round has a generator of its own, so that a resumed campaign draws the same.
        rng = np.random.default_rng([seed, number])
        if strategy == "random":
            left = np.setdiff1d(np.arange(len(pool.ids)), known)
            chosen = rng.choice(left, size=config.batch, replace=False)
        else:
            chosen, hyper = choose(strategy, situation, config.batch, rng)
        rows += chosen.tolist()
        log.write(started.key, number, chosen.tolist(), hyper)
    return rows


def _identity(pool: Pool, goal: Goal, config: CampaignConfig) -> str:
    """Hash of what decides the choices; the number of seeds and the strategies may grow."""
    settings = {k: v for k, v in asdict(config).items() if k in ("initial", "batch", "rounds")}
    made = {name: digest(np.asarray(x, np.float32).tobytes().hex()) for name, x in pool.features.items()}
    return digest(pool.ids, pool.values.tolist(), made, asdict(goal), settings)


class Log:
    """The JSON lines of a campaign: a head that says of what, then one line per round.

    Args:
        path: of the file; made where missing.
        identity: of the campaign.

    Raises:
        MismatchError: the file is of another campaign.
    """

    def __init__(self, path: Path, identity: str) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = _whole_lines(path)
        if not lines:
            path.write_text(json.dumps({"identity": identity}) + "\n", encoding="utf-8")
        elif lines[0].get("identity") != identity:
            raise MismatchError(f"{path} is the log of another campaign. Name another folder with --out.")
        self._lines: dict[tuple, list[dict]] = {}
        for line in lines[1:]:
            self._lines.setdefault((line["features"], line["strategy"], line["seed"]), []).append(line)

    def read(self, name: str, strategy: Strategy, seed: int) -> Started:
        """What is known of one campaign."""
        lines = self._lines.get((name, strategy, seed), [])
        rows = [row for line in lines for row in line["rows"]]
        hyper = Hyper(**lines[-1]["hyper"]) if lines and lines[-1]["hyper"] else None
        return Started((name, strategy, seed), rows, len(lines) - 1, hyper)

    def write(
        self, key: tuple[str, Strategy, int], number: int, rows: list[int], hyper: Hyper | None
    ) -> None:
        """Adds one round."""
        line = {"features": key[0], "strategy": key[1], "seed": key[2], "round": number, "rows": rows}
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({**line, "hyper": asdict(hyper) if hyper else None}) + "\n")


def _whole_lines(path: Path) -> list[dict]:
    """The lines of a log; one that an interruption tore is cut off."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    return [json.loads(line) for line in whole.splitlines()]


def found_so_far(
    history: History, hits: Bool[np.ndarray, " pool"], utility: Float[np.ndarray, " pool"]
) -> tuple[Int[np.ndarray, " budget"], Float[np.ndarray, " budget"]]:
    """Hits found, and the best utility, after every measurement."""
    return np.cumsum(hits[history.rows]), np.maximum.accumulate(utility[history.rows])
