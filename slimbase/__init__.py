"""The foundation: knows no network, no data set and no command."""
