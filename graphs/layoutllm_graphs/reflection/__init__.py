"""Reflection on answers: checks, what follows from their findings, and constraints across fields."""
