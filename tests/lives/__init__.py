"""A year in the life of one account per rulebook, played through the command line against running processes."""
