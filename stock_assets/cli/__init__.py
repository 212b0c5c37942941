"""For people at a terminal: one file per family of commands."""
