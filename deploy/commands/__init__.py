"""Commands: one module a group, each a thin layer between options and the room that does the work."""
