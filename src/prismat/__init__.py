"""Prismat: materials search and prediction across modalities."""
