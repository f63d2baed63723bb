"""MobileNet v2 and v3, and the blocks and driver that they share."""
