"""Reflection on answers: the checks, what follows from their findings, second opinions, and constraints
across fields."""
