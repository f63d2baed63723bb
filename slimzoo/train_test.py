import itertools

import tensorflow.compat.v1 as tf

from deployment import model_deploy
from slimzoo import model_info, train
from slimzoo.config import TrainConfig
from slimzoo.graph import classic_graph


def test_all_variables_are_on_the_parameter_servers():
    config = TrainConfig(model_name="mobilenet_v1_025", num_ps_tasks=2)
    info = model_info.settle(config, {"num_classes": 5}, 32)
    cluster = model_deploy.DeploymentConfig(num_ps_tasks=2)
    with classic_graph():
        with tf.device(cluster.variables_device()):
            step = tf.train.create_global_step()
        batch = tf.zeros([2, 32, 32, 3]), tf.zeros([2], tf.int64)
        clone_fn = train._clone_fn(config, info, train._network(config, info, step))
        model_deploy.create_clones(cluster, clone_fn, [itertools.repeat(batch)])
        jobs = {tf.DeviceSpec.from_string(v.device).job for v in tf.global_variables()}
        tasks = {
            tf.DeviceSpec.from_string(v.device).task for v in tf.global_variables()
        }
    assert jobs == {"ps"}
    assert tasks == {0, 1}
