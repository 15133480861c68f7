"""Engines that hold an index: exact, usearch, LanceDB, Milvus; the same queries, the same answers."""
