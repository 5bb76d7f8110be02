"""Plans and how they are made: by rules from words and JSON Schemas, or by a chat model."""
