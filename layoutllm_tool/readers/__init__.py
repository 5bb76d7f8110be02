"""Readers: the model in this process, any chat model, a part of a page; and what they share."""
