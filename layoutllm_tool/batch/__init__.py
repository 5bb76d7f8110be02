"""Batches on disk: where documents come from, their results, and tables of them. ``layoutllm_graphs.batch``
runs them.
"""
