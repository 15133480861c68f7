"""Typed configuration: one frozen dataclass tree is the command line and the saved JSON."""
