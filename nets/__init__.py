"""The networks: architectures as tables, with the original's names and signatures.

A network is a function `f(inputs, num_classes, ...) -> (net, end_points)`. What the
networks call alike means the same in all of them; their own docstrings tell the rest:

  inputs, images: float `[batch, height, width, channels]`, in the range that the
    network's preprocessing gives; batch may be unknown.
  num_classes: width of the logits; 0 or None for the features before the classifier.
  is_training: whether dropout drops and batch norm uses the batch's moments.
  dropout_keep_prob: share of the features that dropout keeps.
  depth_multiplier, min_depth: factor of all depths, above zero, and the least depth.
  prediction_fn: `f(logits, scope=...)` from logits to predictions; softmax.
  spatial_squeeze: whether logits are `[batch, num_classes]`, else `[batch, height,
    width, num_classes]`, which larger pictures need.
  global_pool: average over whatever is there, for pictures of any size.
  output_stride: how much smaller the features are than the pictures; where the network
    would shrink them further, its later layers are dilated instead. None for its own.
  create_aux_logits: adds the auxiliary classifier, end point `AuxLogits`.
  reuse: whether the variables are there already.
  scope: variable scope.
  final_endpoint: of a `*_base` function: the end point to stop at, which it returns.

`net` is the logits, or the features without classes; `end_points` maps names to
tensors. Arg scope functions take `weight_decay`, the L2 factor of the weights, and

  batch_norm_decay, batch_norm_epsilon: of the moving averages; added to variances.
  batch_norm_scale: whether batch norm has a factor (gamma).
  use_batch_norm: normalize after each convolution; else biases are added.
  batch_norm_updates_collections: where the moving averages' updates go.
  activation_fn: after each convolution.

A wrong argument is a ValueError that names it.
"""

import slimbase.compat  # noqa: F401  Mends tf_slim.
