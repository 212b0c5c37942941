"""The log: how its lines look in two languages or as JSON, and where they go."""
