"""A converted data set on disk: records, shards and manifest."""
