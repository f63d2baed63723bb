"""The check of a converted data set."""
