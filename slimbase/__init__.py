"""The foundation, which knows no network, no data set and no command."""
