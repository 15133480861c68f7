"""What a spawned worker does in tests; importable by name, as a new process needs it."""

import os
import time

# Imported as the process starts, so that no task's time goes into it.
import prismat.formula  # noqa: F401
from prismat.crystal import Crystal  # noqa: F401
from prismat.errors import BadInputError


def square(value):
    return value * value


def awkward(value):
    """Hangs, dies, fails or answers, as it is told."""
    if value == "hang":
        time.sleep(600)
    if value == "die":
        os._exit(3)
    if value == "fail":
        raise ValueError("no luck")
    if value == "refuse":
        raise BadInputError("not this one", field="value")
    return value.upper()


def imported():
    """What a process loads before its first task; cannot be sent to another."""
    return os


def not_ready():
    raise ImportError("no such library")


def formula(crystal):
    """Stands for a slow description: hangs on oxides of magnesium, fails on those of calcium."""
    if crystal.formula == "MgO":
        time.sleep(600)
    if crystal.formula == "CaO":
        raise ValueError("no calcium")
    return f"This is {crystal.formula}."
