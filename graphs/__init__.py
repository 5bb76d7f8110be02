"""LangGraph workflows around the tool. LangGraph lives here, torch never does: models come in by the graph's
context."""
