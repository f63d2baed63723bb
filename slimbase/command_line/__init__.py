"""Options of a command: their table, flags, --help and exit status."""
