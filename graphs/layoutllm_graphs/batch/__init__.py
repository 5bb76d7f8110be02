"""A task over many documents: ``runner`` keeps results in a ``Store``, ``worker`` answers."""
