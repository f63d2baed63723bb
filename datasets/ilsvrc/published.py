"""What was published of ILSVRC 2012: its splits, and how records hold its boxes."""

SPLITS_TO_SIZES = {"train": 1281167, "validation": 50000}
# The sides of a box: the last parts of the keys in a record.
SIDES = ("xmin", "ymin", "xmax", "ymax")
