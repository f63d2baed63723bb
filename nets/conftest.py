"""Fixtures of the networks' tests."""

import pytest
import tensorflow.compat.v1 as tf

from slimbase.graph import quick_variables


@pytest.fixture(autouse=True)
def _quick_variables():
    """Networks are built as quickly when called as when got from `nets_factory`."""
    with tf.Graph().as_default(), quick_variables():
        yield
