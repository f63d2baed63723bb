"""A room per command, over what they share; the modules at the top are for programs."""
