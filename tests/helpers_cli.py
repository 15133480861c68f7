"""Runs the command line within the test process."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

from prismat.cli import main

TINY = [
    "--job.recipe.name",
    "tiny",
    "--job.recipe.encoders.structure.width",
    "16",
    "--job.recipe.encoders.structure.cgcnn.width",
    "8",
    "--job.recipe.encoders.structure.cgcnn.layers",
    "1",
    "--job.recipe.encoders.structure.cgcnn.out",
    "16",
    "--job.recipe.encoders.structure.composition.hidden",
    "16",
    "--job.recipe.encoders.structure.composition.out",
    "16",
    "--job.recipe.encoders.structure.lattice.hidden",
    "16",
    "--job.recipe.encoders.structure.lattice.out",
    "16",
    "--job.recipe.encoders.text.kind",
    "bpe",
    "--job.recipe.encoders.text.vocabulary",
    "320",
    "--job.recipe.encoders.text.bpe.width",
    "16",
    "--job.recipe.encoders.text.bpe.layers",
    "1",
    "--job.recipe.encoders.text.bpe.hidden",
    "32",
    "--job.recipe.encoders.text.bpe.max-tokens",
    "48",
    "--job.recipe.encoders.xrd.channels",
    "8",
    "--job.recipe.encoders.xrd.bottleneck",
    "8",
    "--job.recipe.encoders.xrd.hidden",
    "16",
    "--job.recipe.encoders.xrd.out",
    "16",
    "--job.recipe.projection.dim",
    "16",
    "--job.recipe.projection.hidden",
    "16",
    "--job.recipe.profile.points",
    "256",
    "--job.train.steps",
    "6",
    "--job.train.batch",
    "32",
    "--job.train.evaluate-every",
    "3",
    "--job.split.fractions",
    "0.5",
    "0.25",
    "0.25",
]
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
