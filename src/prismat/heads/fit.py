"""Fits heads to features that do not change: a probe in closed form, or an ensemble of small networks."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Num

from prismat.errors import BadInputError
from prismat.heads.config import FitConfig, HeadConfig, Loss
from prismat.heads.features import Features
from prismat.heads.network import Head
from prismat.heads.probe import Solution, fit_logistic, fit_ridge
from prismat.training.optimizer import OptimizerConfig, build_optimizer
from prismat.training.schedule import rate_factor

CHUNK = 4096
CLIP = 1.0
Told = Callable[[int, int, dict], None]


@dataclass(frozen=True, eq=False)
class Fitted:
    """Heads that were fitted together.

    Attributes:
        heads: the members of the ensemble, in evaluation mode.
        loss: what they were fitted by; of ``cross_entropy`` they give logits.
        mean: of the targets over the training rows; 0 for classes.
        spread: their standard deviation; 1 for classes.
        validation: loss over the validation rows by member (of standardised targets where squared).
    """

    heads: tuple[Head, ...]
    loss: Loss
    mean: float
    spread: float
    validation: tuple[float, ...]

    def members(self, features: Features) -> Float[np.ndarray, "members records outputs"]:
        """What every member says: numbers in the targets' unit, or probabilities of the classes."""
        found = []
        with torch.inference_mode():
            for head in self.heads:
                device = next(head.parameters()).device
                parts = [
                    head(*_moved(features.take(np.arange(i, min(i + CHUNK, len(features)))), device)).cpu()
                    for i in range(0, max(len(features), 1), CHUNK)
                ]
                found.append(torch.cat(parts).double())
        told = torch.stack(found)
        if self.loss == "cross_entropy":
            return told.softmax(dim=2).numpy()
        return told.numpy() * self.spread + self.mean

    def predict(self, features: Features) -> Float[np.ndarray, "records outputs"]:
        """Mean over the members: numbers in the targets' unit, or probabilities."""
        return self.members(features).mean(0)


def fit_head(
    features: Features,
    targets: Num[np.ndarray, " records"],
    rows_train: Int[np.ndarray, " train"],
    rows_val: Int[np.ndarray, " val"],
    config: HeadConfig = HeadConfig(),
    fit: FitConfig = FitConfig(),
    loss: Loss = "squared",
    classes: int = 0,
    told: Told | None = None,
) -> Fitted:
    """Fits a head, or an ensemble of them, and stops where validation is best.

    A linear head is one member: ridge regression or L2-regularised logistic regression, solved exactly, with
    the strength that validation prefers. Networks are trained with AdamW under a linear warm-up and a cosine;
    members differ in their seed alone. The same input gives the same heads on a CPU.

    Args:
        features: of all records that are spoken of.
        targets: numbers, or class numbers from 0; only those of the two row lists are read.
        rows_train: places in ``features`` to learn from.
        rows_val: places by which strength and weights are chosen.
        config: the head.
        fit: how.
        loss: ``squared`` for numbers, ``cross_entropy`` for classes.
        classes: how many there are; the largest in the training rows, plus one, where 0.
        told: called after every epoch with epochs done, of how many, and the losses.

    Raises:
        BadInputError: no training or validation rows, rows in both, a target that is not finite or no class,
            or training targets that are all equal.
    """
    _check(features, targets, rows_train, rows_val, loss)
    if loss == "squared":
        mean, spread = float(targets[rows_train].mean()), float(targets[rows_train].std())
        wanted = torch.from_numpy(((targets - mean) / spread).astype(np.float32))
        outputs = 1
    else:
        mean, spread = 0.0, 1.0
        outputs = classes or int(targets[rows_train].max()) + 1
        wanted = torch.from_numpy(np.where(np.isfinite(targets), targets, -1).astype(np.int64))
    _check_classes(wanted, rows_train, rows_val, outputs, loss)
    train, val = features.take(rows_train), features.take(rows_val)
    parts = Parts(*train.tensors(), wanted[rows_train], *val.tensors(), wanted[rows_val])
    weights = _class_weights(parts.wanted, outputs, fit.balanced) if loss == "cross_entropy" else None
    task = _Task(parts, config, fit, features.widths, outputs, weights)
    members = range(fit.members)
    fitted = [_linear(task)] if config.kind == "linear" else [_network(task, m, told) for m in members]
    return Fitted(tuple(h for h, _ in fitted), loss, mean, spread, tuple(v for _, v in fitted))


@dataclass(frozen=True, eq=False)
class Parts:
    """Tensors of the training and of the validation rows.

    Attributes:
        vectors, present, wanted: of the training rows.
        val_vectors, val_present, val_wanted: of the validation rows.
    """

    vectors: dict[str, Float[torch.Tensor, "train _"]]
    present: dict[str, Bool[torch.Tensor, " train"]]
    wanted: Num[torch.Tensor, " train"]
    val_vectors: dict[str, Float[torch.Tensor, "val _"]]
    val_present: dict[str, Bool[torch.Tensor, " val"]]
    val_wanted: Num[torch.Tensor, " val"]


def head_loss(
    said: Float[torch.Tensor, "batch outputs"],
    wanted: Num[torch.Tensor, " batch"],
    weights: Float[torch.Tensor, " outputs"] | None = None,
    reduction: str = "mean",
) -> Float[torch.Tensor, ""]:
    """Squared error of numbers, cross-entropy of classes (whole numbers).

    Args:
        said: by the head.
        wanted: standardised numbers, or class numbers.
        weights: of the classes; the weighted mean is divided by the weights' sum.
        reduction: ``mean`` or ``sum``.
    """
    if wanted.is_floating_point():
        squares = (said[:, 0] - wanted).square()
        return squares.mean() if reduction == "mean" else squares.sum()
    return torch.nn.functional.cross_entropy(said, wanted, weights, reduction=reduction)


@dataclass(frozen=True, eq=False)
class _Task:
    """One fit: data, settings, and the weights of the classes (None for numbers)."""

    parts: Parts
    config: HeadConfig
    fit: FitConfig
    widths: dict[str, int]
    outputs: int
    weights: Float[torch.Tensor, " outputs"] | None

    def head(self) -> Head:
        """A fresh head that knows the training rows' mean and spread."""
        head = Head(self.config, self.widths, self.outputs)
        head.standardise(self.parts.vectors, self.parts.present)
        return head

    def validate(self, head: Head) -> float:
        """Loss over the validation rows."""
        parts = self.parts
        with torch.inference_mode():
            return float(
                head_loss(head.eval()(parts.val_vectors, parts.val_present), parts.val_wanted, self.weights)
            )


def _linear(task: _Task) -> tuple[Head, float]:
    """The probe that validation prefers, and its validation loss."""
    head, parts, weights = task.head(), task.parts, task.weights
    with torch.no_grad():
        x = head.fuse(parts.vectors, parts.present).double().numpy()
    if weights is None:
        solutions = fit_ridge(x, parts.wanted.double().numpy(), task.fit.ridges)
    else:
        record = weights[parts.wanted].double().numpy()
        solutions = fit_logistic(x, parts.wanted.numpy(), task.outputs, task.fit.ridges, record)
    scores = [task.validate(_put(head, solution)) for solution in solutions]
    best = int(np.argmin(scores))
    return _put(head, solutions[best]).eval(), scores[best]


def _put(head: Head, solution: Solution) -> Head:
    """The head with these coefficients."""
    coefficients, intercept = (torch.from_numpy(x).float() for x in solution)
    head.net.load_state_dict({"weight": coefficients, "bias": intercept})
    return head


def _network(task: _Task, member: int, told: Told | None) -> tuple[Head, float]:
    """One member, with the weights of its best epoch, and its validation loss there."""
    fit, n = task.fit, len(task.parts.wanted)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(fit.seed + member)
        head = task.head()
        optimizer = build_optimizer([head], OptimizerConfig(fit.learning_rate, weight_decay=fit.weight_decay))
        total = fit.epochs * -(-n // fit.batch)
        best, kept, stale, step = np.inf, head.state_dict(), 0, 0
        for epoch in range(1, fit.epochs + 1):
            head.train()
            for rows in torch.randperm(n).split(fit.batch):
                _step(task, head, rows, optimizer, rate_factor("cosine", step, total, fit.warmup))
                step += 1
            scored = task.validate(head)
            stale += 1
            if scored < best:
                best, stale = scored, 0
                kept = {k: v.clone() for k, v in head.state_dict().items()}
            is_last = epoch == fit.epochs or 0 < fit.patience <= stale
            if told:
                told(fit.epochs if is_last else epoch, fit.epochs, {"loss": scored})
            if is_last:
                break
        head.load_state_dict(kept)
    return head.eval(), best


def _step(
    task: _Task,
    head: Head,
    rows: Int[torch.Tensor, " batch"],
    optimizer: torch.optim.Optimizer,
    factor: float,
) -> None:
    for group in optimizer.param_groups:
        group["lr"] = task.fit.learning_rate * factor
    parts = task.parts
    said = head(
        {w: v[rows] for w, v in parts.vectors.items()}, {w: p[rows] for w, p in parts.present.items()}
    )
    optimizer.zero_grad(set_to_none=True)
    head_loss(said, parts.wanted[rows], task.weights).backward()
    torch.nn.utils.clip_grad_norm_(head.parameters(), CLIP)
    optimizer.step()


def _class_weights(
    wanted: Int[torch.Tensor, " train"], classes: int, balanced: bool
) -> Float[torch.Tensor, " classes"]:
    """Weights n / (classes · n_c), 1 for all where not balanced or without a record."""
    counts = torch.bincount(wanted, minlength=classes).double()
    weights = len(wanted) / (classes * counts.clamp_min(1))
    return torch.where((counts > 0) & balanced, weights, 1.0).float()


def _moved(features: Features, device: torch.device) -> tuple[dict, dict]:
    vectors, present = features.tensors()
    return {w: v.to(device) for w, v in vectors.items()}, {w: p.to(device) for w, p in present.items()}


def _check(
    features: Features,
    targets: Num[np.ndarray, " records"],
    train: Int[np.ndarray, " train"],
    val: Int[np.ndarray, " val"],
    loss: Loss,
) -> None:
    problem, remedy = "", ""
    used = np.concatenate([train, val])
    if len(targets) != len(features):
        problem, remedy = f"{len(targets)} targets for {len(features)} records", "Give one each."
    elif not len(train) or not len(val):
        problem = f"{len(train)} training and {len(val)} validation records"
        remedy = "Divide the records so that each part has some."
    elif np.intersect1d(train, val).size:
        problem, remedy = "a record is in training and validation", "Divide the records anew."
    elif not np.isfinite(targets[used]).all():
        problem, remedy = "a target is not finite", "Leave such records out."
    elif not features.take(used).any_present.all():
        problem, remedy = "a record has none of the windows", "Leave such records out."
    elif np.ptp(targets[train]) == 0:
        what = "values" if loss == "squared" else "classes"
        problem, remedy = f"all training {what} are equal", "Choose another target or threshold."
    if problem:
        raise BadInputError(problem, field="fit", remedy=remedy)


def _check_classes(
    wanted: Num[torch.Tensor, " records"], train: np.ndarray, val: np.ndarray, classes: int, loss: Loss
) -> None:
    if loss == "squared":
        return
    used = wanted[np.concatenate([train, val])]
    if int(used.min()) < 0 or int(used.max()) >= classes:
        raise BadInputError(
            f"classes from {int(used.min())} to {int(used.max())} where there are {classes}",
            field="fit",
            remedy="Number the classes from 0, and leave out records of a class that training lacks.",
        )
