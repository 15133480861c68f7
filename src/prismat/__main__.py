"""``python -m prismat`` is ``prismat``: what ``torchrun`` starts."""

from prismat.cli import main

main()
