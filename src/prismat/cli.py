"""The command line: parses, calls the API, prints."""

import logging
import os
import sys
from functools import reduce
from operator import or_
from typing import Annotated, Any

import tyro

from prismat.errors import PrismatError

INTERRUPTED = 130


def main() -> None:
    """Entry point of the ``prismat`` command."""
    logging.basicConfig(level=os.environ.get("PRISMAT_LOG", "WARNING"), format="%(levelname)s %(message)s")
    # moyo tells of every non-primitive cell it is given; nobody can act on it.
    logging.getLogger("moyo").setLevel(logging.ERROR)
    try:
        command = tyro.cli(
            _commands(),
            prog="prismat",
            description="Materials search across modalities.",
            config=(tyro.conf.CascadeSubcommandArgs,),
        )
        command.run()
    except PrismatError as error:
        sys.exit(f"prismat: {error}")
    except KeyboardInterrupt:
        print("prismat: interrupted; the same command goes on where it stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output left (| head): nothing more to say, and nothing to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        sys.exit(f"prismat: {error.strerror or error}{f': {error.filename}' if error.filename else ''}")


def _commands() -> Any:
    """The union of all verbs, each under its own name."""
    from prismat import commands as c

    verbs = {
        "quickstart": c.Quickstart,
        "prepare": c.Prepare,
        "describe": c.Describe,
        "compute": c.Compute,
        "compare": c.Compare,
        "train": c.Train,
        "evaluate": c.Evaluate,
        "embed": c.Embed,
        "index": c.IndexCommand,
        "index-edit": c.IndexEdit,
        "search": c.Search,
        "map": c.MapCommand,
        "serve": c.Serve,
        "screen": c.Screen,
        "tag": c.Tag,
        "recommend": c.Recommend,
        "transfer": c.TransferCommand,
        "design": c.Design,
        "campaign": c.Campaign,
        "fit": c.Fit,
        "predict": c.Predict,
        "ablate": c.Ablate,
        "sweep": c.SweepCommand,
        "report": c.Report,
        "quality": c.Quality,
        "attention": c.AttentionCommand,
        "calibrate": c.Calibrate,
        "identify": c.Identify,
        "explain": c.Explain,
        "defects": c.Defects,
        "text-task": c.TextTask,
        "doctor": c.Doctor,
    }
    named = [Annotated[verb, tyro.conf.subcommand(name)] for name, verb in verbs.items()]
    return reduce(or_, named)


if __name__ == "__main__":
    main()
