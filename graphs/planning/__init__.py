"""What ``planner`` is made of: fields, phrases, checks and clauses of tasks in words; JSON Schemas. Nothing here calls a model."""
