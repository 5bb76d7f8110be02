"""Batches on disk: where documents come from, their results, and tables of them. ``graphs.batch`` runs
them."""
