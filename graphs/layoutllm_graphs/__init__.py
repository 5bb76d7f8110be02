"""LangGraph workflows around the tool. Torch never comes in here: models come by the graph's context."""
