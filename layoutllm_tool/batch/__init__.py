"""Batches on disk: where documents come from, what became of them, and the tables people read. What runs them is ``graphs.batch``."""
