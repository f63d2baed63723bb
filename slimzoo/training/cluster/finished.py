"""The workers of a cluster that have finished, as its parameter servers know them."""

import tensorflow.compat.v1 as tf


class Finished:
    """The table of the workers that have finished, on a parameter server.

    It lives as long as the server: operations in all graphs and sessions share it.
    """

    def __init__(self, server: int):
        """Makes the table of the parameter server of number `server`."""
        self._device = f"/job:ps/task:{server}/device:CPU:0"
        with tf.device(self._device):
            self._table = tf.raw_ops.MutableHashTableV2(
                key_dtype=tf.int64, value_dtype=tf.int64, shared_name="finished_workers"
            )

    def add(self, worker: int) -> tf.Operation:
        """Adds `worker`."""
        with tf.device(self._device):
            return tf.raw_ops.LookupTableInsertV2(
                table_handle=self._table, keys=_number(worker), values=_number(1)
            )

    def remove(self, worker: int) -> tf.Operation:
        """Removes `worker`, if it is there."""
        with tf.device(self._device):
            return tf.raw_ops.LookupTableRemoveV2(
                table_handle=self._table, keys=_number(worker)
            )

    def has(self, worker: int) -> tf.Tensor:
        """Whether `worker` is there, a scalar."""
        with tf.device(self._device):
            found = tf.raw_ops.LookupTableFindV2(
                table_handle=self._table,
                keys=_number(worker),
                default_value=tf.constant(0, tf.int64),
            )
            return tf.equal(found[0], 1)

    def count(self) -> tf.Tensor:
        """The number of workers, a scalar."""
        with tf.device(self._device):
            return tf.raw_ops.LookupTableSizeV2(table_handle=self._table)


def _number(value: int) -> tf.Tensor:
    return tf.constant([value], tf.int64)
