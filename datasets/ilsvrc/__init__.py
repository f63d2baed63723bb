"""Published facts of ILSVRC 2012: synsets, classes and annotations."""
