"""Trainings of a moment for studies, and ways for them to end badly."""

import os

import helpers_small as small
from prismat.studies.runner import _enter
from prismat.tasks.quickstart import Talk

LAST, DOOMED = 7, "doomed"


def moment(**train):
    """Two steps, one validation."""
    return small.tiny_job(**{"steps": 2, "evaluate_every": 2, "batch": 24, "device": "cpu", **train})


def enter_or_die(store, trial, part, parent):
    """A trial's process; that of the doomed one is killed before it can say anything."""
    if trial.name == DOOMED:
        os._exit(LAST)
    _enter(store, trial, part, parent)


def interrupting(step):
    """A talk that is interrupted after a step."""

    def bar(stage, done, total, entry):
        if stage == "tiny" and done == step:
            raise KeyboardInterrupt

    return Talk(bar=bar)
