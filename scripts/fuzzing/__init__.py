"""Hostile inputs: ``pictures``, ``pdfs`` and ``texts`` make them, ``doors`` hands them to the package."""
