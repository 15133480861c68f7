"""Runs the command line within the test process."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

from prismat.cli import main

SETTINGS = {
    "recipe.name": ["tiny"],
    "recipe.encoders.structure.width": [16],
    "recipe.encoders.structure.graphs.cgcnn.width": [8],
    "recipe.encoders.structure.graphs.cgcnn.layers": [1],
    "recipe.encoders.structure.graphs.cgcnn.out": [16],
    "recipe.encoders.structure.composition.hidden": [16],
    "recipe.encoders.structure.composition.out": [16],
    "recipe.encoders.structure.lattice.hidden": [16],
    "recipe.encoders.structure.lattice.out": [16],
    "recipe.encoders.text.kind": ["bpe"],
    "recipe.encoders.text.vocabulary": [320],
    "recipe.encoders.text.bpe.width": [16],
    "recipe.encoders.text.bpe.layers": [1],
    "recipe.encoders.text.bpe.hidden": [32],
    "recipe.encoders.text.bpe.max-tokens": [48],
    "recipe.encoders.xrd.channels": [8],
    "recipe.encoders.xrd.bottleneck": [8],
    "recipe.encoders.xrd.hidden": [16],
    "recipe.encoders.xrd.out": [16],
    "recipe.projection.dim": [16],
    "recipe.projection.hidden": [16],
    "recipe.profile.points": [256],
    "train.steps": [6],
    "train.batch": [32],
    "train.evaluate-every": [3],
    "split.fractions": [0.5, 0.25, 0.25],
}


def options(settings):
    """Settings of a job as words of a command line."""
    return [str(word) for name, values in settings.items() for word in (f"--job.{name}", *values)]


TINY = options(SETTINGS)
"""Options of ``train`` and ``quickstart`` that make a training of a second."""


@dataclass(frozen=True)
class Said:
    """How a command ended: exit code, and what it wrote."""

    code: int
    out: str
    err: str


def call(*words):
    """Runs ``prismat`` with these words."""
    out, err = io.StringIO(), io.StringIO()
    with patch.object(sys, "argv", ["prismat", *map(str, words)]), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
            code = 0
        except SystemExit as end:
            # A message in place of a code is printed by the interpreter, which then exits with 1.
            code = 1 if isinstance(end.code, str) else end.code or 0
            err.write(f"{end.code}\n" if isinstance(end.code, str) else "")
    return Said(code, out.getvalue(), err.getvalue())
