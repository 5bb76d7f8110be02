"""Batches on disk: sources, results, and tables of them. ``layoutllm_graphs.batch`` runs them."""
