"""What NASNet and PNASNet share: hyperparameters, and cells after a genotype.

A cell starts from two hidden states, the outputs of the last two cells. Each of five
combinations adds one, the sum of two operations on earlier states. Those that are not
used up are concatenated.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import tensorflow.compat.v1 as tf
import tf_slim as slim
from tf_slim import add_arg_scope, arg_scope

from slimbase import errors

DATA_FORMAT_NCHW = "NCHW"
DATA_FORMAT_NHWC = "NHWC"
INVALID = "null"
CLIP_BY_VALUE_CAP = 6


@dataclasses.dataclass
class HParams:
    """Hyperparameters of a network; setting an unknown one raises a ValueError."""

    num_cells: int  # Normal cells after the stem.
    num_conv_filters: int  # Of the first of these.
    stem_multiplier: float = 3.0  # Factor of the first convolution's filters.
    filter_scaling_rate: float = 2.0  # Factor of the filters where the size is halved,
    num_reduction_layers: int = 2  # as it is so often among the cells.
    skip_reduction_layer_input: int = 1  # 0: the next cell takes the larger input too.
    use_aux_head: int = 1  # Whether training has an auxiliary classifier.
    dense_dropout_keep_prob: float = 0.5  # Of the pooled features.
    drop_path_keep_prob: float = 1.0  # Of the last cell at the end of training,
    total_training_steps: int = 250000  # which is after so many steps.
    use_bounded_activation: bool = False  # relu6 and clipping, for quantization.
    data_format: str = DATA_FORMAT_NHWC  # Or NCHW; images are NHWC in either case.

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.__dataclass_fields__:
            known = self.__dataclass_fields__
            raise errors.unknown(f"Unknown hyperparameter {name}", name, known)
        super().__setattr__(name, value)

    set_hparam = __setattr__

    def values(self) -> dict[str, Any]:
        """All of them by name."""
        return dataclasses.asdict(self)


def calc_reduction_layers(num_cells, num_reduction_layers):
    """Returns the cells, counted from 0, at which the size is halved."""
    parts = num_reduction_layers + 1
    return [num_cells * part // parts for part in range(1, parts)]


@add_arg_scope
def get_channel_index(data_format=INVALID):
    """Returns the axis of the channels; a ValueError for an unknown `data_format`."""
    if data_format not in (DATA_FORMAT_NHWC, DATA_FORMAT_NCHW):
        raise ValueError(f"data_format must be NHWC or NCHW, not {data_format!r}")
    return data_format.index("C")


@add_arg_scope
def get_channel_dim(shape, data_format=INVALID):
    """Returns the number of channels of a `shape` of rank 4."""
    channels = get_channel_index(data_format=data_format)
    return tf.TensorShape(shape).with_rank(4).as_list()[channels]


def spatial_shape(net: tf.Tensor) -> list[int]:
    """Height and width of `net`, in the data format of the arg scope."""
    channels = get_channel_index()
    return [net.shape.as_list()[axis] for axis in (1, 2, 3) if axis != channels]


@add_arg_scope
def global_avg_pool(x, data_format=INVALID):
    """Averages `x`, of rank 4, over height and width: `[batch, channels]`."""
    channels = get_channel_index(data_format=data_format)
    x.shape.assert_has_rank(4)
    return tf.reduce_mean(x, [axis for axis in (1, 2, 3) if axis != channels])


def convolve(net, filters, scope, norm_scope, kernel: Any = 1, **arguments):
    """A convolution and its batch norm."""
    net = slim.conv2d(net, filters, kernel, scope=scope, **arguments)
    return slim.batch_norm(net, scope=norm_scope)


@add_arg_scope
def factorized_reduction(net, output_filters, stride, data_format=INVALID):
    """Divides height and width by `stride`; at 1 it is a plain 1x1 convolution.

    Half of the filters take the pixels at multiples of the stride, the other half (and
    an odd one) those one further down and to the right.
    """
    channels = get_channel_index(data_format=data_format)
    with arg_scope([slim.conv2d, slim.batch_norm], data_format=data_format):
        if stride == 1:
            return convolve(net, output_filters, "path_conv", "path_bn")
        shift = [int(axis not in (0, channels)) for axis in range(4)]
        shifted = tf.slice(tf.pad(net, [[0, by] for by in shift]), shift, [-1] * 4)
        half, rest = output_filters // 2, output_filters - output_filters // 2
        path1 = slim.conv2d(net, half, 1, stride, scope="path1_conv")
        path2 = slim.conv2d(shifted, rest, 1, stride, scope="path2_conv")
        net = tf.concat([path1, path2], channels)
        return slim.batch_norm(net, scope="final_path_bn")


@add_arg_scope
def drop_path(net, keep_prob, is_training=True):
    """In training, zeroes whole examples and divides the others by `keep_prob`."""
    if not is_training:
        return net
    rate = tf.cast(1.0 - keep_prob, net.dtype)
    return tf.nn.dropout(net, rate=rate, noise_shape=[tf.shape(net)[0], 1, 1, 1])


_POOLS = {
    "avg": slim.avg_pool2d,
    "max": slim.max_pool2d,
    "min": lambda net, *args: tf.negative(slim.max_pool2d(-net, *args)),
}


@dataclasses.dataclass
class NasNetABaseCell:
    """A cell after any genotype.

    Operations are `separable_5x5_2` (two convolutions), `avg_pool_3x3`, `max_pool_3x3`
    and `min_pool_3x3`, of sizes up to 9, and `none`. Drop path keeps one of them, per
    example, with a probability that falls from 1 linearly with the training steps, and
    the lower the later the cell, to `drop_path_keep_prob` in the last.
    """

    num_conv_filters: int  # Where `filter_scaling` is 1.
    operations: Sequence[str]  # Left and right of each combination.
    used_hiddenstates: Sequence[int]  # Per state, 0 if it is part of the output.
    hiddenstate_indices: Sequence[int]  # That operations take; 0 is the last cell's.
    drop_path_keep_prob: float  # 1 for no drop path.
    total_num_cells: int  # In the network.
    total_training_steps: int  # Until drop path has its full effect.
    use_bounded_activation: bool = False  # relu6 and clipping, for quantization.

    def activate(self, net):
        """Applies the activation function."""
        return tf.nn.relu6(net) if self.use_bounded_activation else tf.nn.relu(net)

    def __call__(
        self,
        net,
        scope=None,
        filter_scaling: float = 1,
        stride=1,
        prev_layer=None,
        cell_num=-1,
        current_step=None,
    ):
        """Builds the cell on `net`, the last output, and `prev_layer`, that before it.

        Both are of rank 4, of known height, width and channels; without `prev_layer`,
        `net` is both. Height and width are divided by `stride`. Drop path needs
        `cell_num`, counted from 0, and takes the global step without `current_step`.
        """
        filters = int(self.num_conv_filters * filter_scaling)

        def side(name, operation, index):
            with tf.variable_scope(name):
                reduces = stride if index < 2 else 1  # Later states are reduced.
                net = self._operate(states[index], operation, filters, reduces)
                drops = self.drop_path_keep_prob < 1 and operation != "none"
                return self._drop(net, cell_num, current_step) if drops else net

        with tf.variable_scope(scope, "cell"):
            prior = net if prev_layer is None else self._match(prev_layer, net, filters)
            net = convolve(self.activate(net), filters, "1x1", "beginning_bn")
            states = [net, prior]
            takes = zip(self.operations, self.hiddenstate_indices, strict=True)
            for i, (left, right) in enumerate(zip(takes, takes, strict=True)):
                with tf.variable_scope(f"comb_iter_{i}"):
                    net = side("left", *left) + side("right", *right)
                    net = tf.nn.relu6(net) if self.use_bounded_activation else net
                    states.append(net)
            with tf.variable_scope("cell_output"):
                return self._output(states)

    def _match(self, previous, net, filters):
        """Gives `previous` the size of `net`, and `filters`."""
        if spatial_shape(previous) != spatial_shape(net):
            return factorized_reduction(self.activate(previous), filters, stride=2)
        if get_channel_dim(previous.shape) != filters:
            return convolve(self.activate(previous), filters, "prev_1x1", "prev_bn")
        return previous

    def _operate(self, net, operation, filters, stride):
        bounded = self.use_bounded_activation
        projects = get_channel_dim(net.shape) != filters
        match operation.split("_"):
            case ["none"]:
                projects = projects or stride > 1
                net = self.activate(net) if projects or bounded else net
            case [kind, "pool", size] if kind in _POOLS:
                net = self.activate(net) if bounded else net
                net = _POOLS[kind](net, int(size[0]), stride, "SAME")
                stride = 1
            case ["separable", size, *count]:
                projects, kernel = False, int(size[0])
                for i in range(1, int(*count or "1") + 1):
                    scope = f"separable_{size}_{i}"
                    net = slim.separable_conv2d(
                        self.activate(net), filters, kernel, stride=stride, scope=scope
                    )
                    net = slim.batch_norm(net, scope=f"bn_sep_{size}_{i}")
                    stride = 1
            case _:
                raise ValueError(f"Unknown operation {operation}; see NasNetABaseCell")
        if projects:
            net = convolve(net, filters, "1x1", "bn_1", stride=stride)
        if bounded:
            net = tf.clip_by_value(net, -CLIP_BY_VALUE_CAP, CLIP_BY_VALUE_CAP)
        return net

    def _drop(self, net, cell_num, current_step):
        if cell_num < 0:
            raise ValueError("drop path needs the cell's number, cell_num, from 0")
        if current_step is None:
            # sic: below the scopes of this operation, unless it was made before.
            current_step = tf.train.get_or_create_global_step()
        progress = tf.cast(current_step, tf.float32) / self.total_training_steps
        depth = (cell_num + 1) / self.total_num_cells
        drop_prob = depth * (1 - self.drop_path_keep_prob)
        return drop_path(net, 1 - tf.minimum(1.0, progress) * drop_prob)

    def _output(self, states):
        size, filters = spatial_shape(states[-1]), get_channel_dim(states[-1].shape)
        unused = [i for i, used in enumerate(self.used_hiddenstates) if not used]
        for i in unused:
            stride = 1 if spatial_shape(states[i]) == size else 2
            if stride > 1 or get_channel_dim(states[i].shape) != filters:
                with tf.variable_scope(f"reduction_{i}"):
                    states[i] = factorized_reduction(states[i], filters, stride)
        return tf.concat([states[i] for i in unused], get_channel_index())


@dataclasses.dataclass
class GenotypeCell(NasNetABaseCell):
    """A cell whose genotype stands in its class."""

    operations: Sequence[str] = dataclasses.field(init=False)
    used_hiddenstates: Sequence[int] = dataclasses.field(init=False)
    hiddenstate_indices: Sequence[int] = dataclasses.field(init=False)
    # Of each, left and right: an operation and the hidden state that it takes.
    COMBINATIONS: ClassVar[Sequence[tuple[tuple[str, int], tuple[str, int]]]]

    def __post_init__(self):
        sides = sum(self.COMBINATIONS, ())
        self.operations, self.hiddenstate_indices = zip(*sides, strict=True)


class NasNetANormalCell(GenotypeCell):
    """NASNet-A's normal cell, which keeps the size."""

    COMBINATIONS = (
        (("separable_5x5_2", 0), ("separable_3x3_2", 1)),
        (("separable_5x5_2", 1), ("separable_3x3_2", 1)),
        (("avg_pool_3x3", 0), ("none", 1)),
        (("avg_pool_3x3", 1), ("avg_pool_3x3", 1)),
        (("separable_3x3_2", 0), ("none", 0)),
    )
    used_hiddenstates = (1, 0, 0, 0, 0, 0, 0)


class NasNetAReductionCell(GenotypeCell):
    """NASNet-A's reduction cell, for a stride of 2."""

    COMBINATIONS = (
        (("separable_5x5_2", 0), ("separable_7x7_2", 1)),
        (("max_pool_3x3", 0), ("separable_7x7_2", 1)),
        (("avg_pool_3x3", 0), ("separable_5x5_2", 1)),
        (("none", 3), ("avg_pool_3x3", 2)),
        (("separable_3x3_2", 2), ("max_pool_3x3", 0)),
    )
    used_hiddenstates = (1, 1, 1, 0, 0, 0, 0)
