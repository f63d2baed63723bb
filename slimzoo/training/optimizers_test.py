import dataclasses

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from slimbase.errors import UserError
from slimbase.graph import classic_graph
from slimzoo.config.train import TrainConfig
from slimzoo.training import optimizers

# Schedules


def rates(steps, num_samples=1000, **options):
    """The learning rate at each of `steps`."""
    config = TrainConfig(**{"batch_size": 10, "learning_rate": 0.5} | options)
    with classic_graph(), tf.Session() as session:
        step = tf.placeholder(tf.int64, [])
        rate = optimizers.learning_rate(config, step, num_samples)
        assert rate.shape == []
        return [float(session.run(rate, {step: n})) for n in steps]


def test_exponential_decay_goes_down_in_stairs():
    found = rates(
        [0, 199, 200, 399, 400, 1000],
        learning_rate_decay_type="exponential",
        learning_rate_decay_factor=0.8,
        num_epochs_per_decay=2.0,
    )
    expected = [0.5, 0.5, 0.5 * 0.8, 0.5 * 0.8, 0.5 * 0.8**2, 0.5 * 0.8**5]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_exponential_decay_is_the_default_at_the_original_pace():
    found = rates([6249, 6250], num_samples=100_000, batch_size=32, learning_rate=0.01)
    np.testing.assert_allclose(found, [0.01, 0.01 * 0.94], rtol=1e-6)


def test_fixed_rate_stays():
    found = rates([0, 10_000_000], learning_rate_decay_type="fixed")
    assert found == [0.5, 0.5]


def test_polynomial_decay_is_a_line_to_the_end():
    found = rates(
        [0, 50, 150, 200, 201, 1000],
        learning_rate_decay_type="polynomial",
        end_learning_rate=0.1,
        num_epochs_per_decay=2.0,
    )
    np.testing.assert_allclose(found, [0.5, 0.4, 0.2, 0.1, 0.1, 0.1], rtol=1e-6)


def test_cosine_decay_ends_with_training():
    options = {"learning_rate_decay_type": "cosine", "end_learning_rate": 0.1}
    found = rates([0, 100, 200, 400], max_number_of_steps=400, **options)
    quarter = 0.1 + 0.4 * (1 + np.cos(np.pi / 4)) / 2
    np.testing.assert_allclose(found, [0.5, quarter, 0.3, 0.1], rtol=1e-6)
    with pytest.raises(UserError, match="give --max_number_of_steps"):
        rates([0], **options)


@pytest.mark.parametrize(
    ("decay_steps", "options"),
    [
        (200, {}),
        (300, {"num_epochs_per_decay": 3.0}),
        (50, {"num_epochs_per_decay": 0.5}),
        (100, {"batch_size": 20}),
        (27, {"num_samples": 109, "num_epochs_per_decay": 2.5}),  # Of 10.9 x 2.5.
        (50, {"sync_replicas": True, "replicas_to_aggregate": 4}),
        (200, {"sync_replicas": False, "replicas_to_aggregate": 4}),
        (200, {"num_clones": 4}),
        (200, {"worker_replicas": 4}),
        (1, {"num_samples": 4}),
    ],
)
def test_steps_per_decay(decay_steps, options):
    before, after = rates(
        [decay_steps - 1, decay_steps], learning_rate_decay_factor=0.5, **options
    )
    assert (before, after) == (0.5, 0.25)


@pytest.mark.parametrize("kind", optimizers.SCHEDULES)
def test_rate_rises_from_zero_while_warming_up(kind):
    found = rates(
        [0, 50, 150, 199],
        learning_rate_decay_type=kind,
        warmup_epochs=2.0,
        num_epochs_per_decay=1000.0,
        max_number_of_steps=100_000,
    )
    np.testing.assert_allclose(found, [0, 0.125, 0.375, 0.4975], rtol=2e-3)


def test_after_warming_up_and_where_it_is_lower_the_schedule_holds():
    found = rates(
        [90, 110, 150, 190, 1000],
        learning_rate_decay_factor=0.5,
        num_epochs_per_decay=1.0,
        warmup_epochs=2.0,
    )
    expected = [0.225, 0.25, 0.25, 0.25, 0.5**11]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_aggregated_replicas_shorten_the_warm_up():
    [rate] = rates(
        [25],
        learning_rate_decay_type="fixed",
        warmup_epochs=2.0,
        sync_replicas=True,
        replicas_to_aggregate=4,
    )
    assert rate == 0.25


def test_unknown_schedule_suggests():
    with pytest.raises(UserError, match=r"decay_type=fixd is unknown.*mean fixed\?"):
        rates([0], learning_rate_decay_type="fixd")


# Optimizers: each rule as published, with the state that TensorFlow starts from.

RATE = 0.3
START = 0.7
GRADIENTS = (0.5, -1.5, 2.0)
# Values that no two options share and that are no defaults, so that each one counts.
CONFIG = TrainConfig(
    opt_epsilon=0.02,
    adadelta_rho=0.83,
    adagrad_initial_accumulator_value=0.37,
    adam_beta1=0.81,
    adam_beta2=0.93,
    adamw_epsilon=0.03,
    decoupled_weight_decay=0.19,
    ftrl_learning_rate_power=-0.61,
    ftrl_initial_accumulator_value=0.43,
    ftrl_l1=0.11,
    ftrl_l2=0.23,
    momentum=0.77,
    rmsprop_momentum=0.67,
    rmsprop_decay=0.87,
)


def sgd(c, x, gradients):
    for g in gradients:
        x -= RATE * g
        yield x


def momentum(c, x, gradients):
    velocity = 0
    for g in gradients:
        velocity = c.momentum * velocity + g
        x -= RATE * velocity
        yield x


def adagrad(c, x, gradients):
    squares = c.adagrad_initial_accumulator_value
    for g in gradients:
        squares += g**2
        x -= RATE * g / squares**0.5
        yield x


def adadelta(c, x, gradients):
    rho, epsilon = c.adadelta_rho, c.opt_epsilon
    squares = updates = 0
    for g in gradients:
        squares = rho * squares + (1 - rho) * g**2
        update = ((updates + epsilon) / (squares + epsilon)) ** 0.5 * g
        updates = rho * updates + (1 - rho) * update**2
        x -= RATE * update
        yield x


def adam(c, x, gradients):
    first = second = 0
    for t, g in enumerate(gradients, 1):
        first = c.adam_beta1 * first + (1 - c.adam_beta1) * g
        second = c.adam_beta2 * second + (1 - c.adam_beta2) * g**2
        # Epsilon as in the paper's second, efficient form.
        correction = (1 - c.adam_beta2**t) ** 0.5 / (1 - c.adam_beta1**t)
        x -= RATE * correction * first / (second**0.5 + c.opt_epsilon)
        yield x


def adamw(c, x, gradients):
    same = dataclasses.replace(c, opt_epsilon=c.adamw_epsilon)
    steps = np.diff([0, *adam(same, 0, gradients)])  # They do not depend on x.
    for step in steps:
        x += step - RATE * c.decoupled_weight_decay * x
        yield x


def lars(c, x, gradients):
    velocity = 0
    for g in gradients:
        decay = c.decoupled_weight_decay
        trust = 0.001 * abs(x) / (abs(g) + decay * abs(x))
        velocity = c.momentum * velocity + trust * (g + decay * x)
        x -= RATE * velocity
        yield x


def rmsprop(c, x, gradients):
    squares, velocity = 1, 0
    for g in gradients:
        squares = c.rmsprop_decay * squares + (1 - c.rmsprop_decay) * g**2
        velocity = (
            c.rmsprop_momentum * velocity + RATE * g / (squares + c.opt_epsilon) ** 0.5
        )
        x -= velocity
        yield x


def ftrl(c, x, gradients):
    power = -c.ftrl_learning_rate_power
    squares, linear = c.ftrl_initial_accumulator_value, 0
    for g in gradients:
        grown = squares + g**2
        linear += g - (grown**power - squares**power) / RATE * x
        squares = grown
        excess = np.sign(linear) * max(abs(linear) - c.ftrl_l1, 0)
        x = -excess / (squares**power / RATE + 2 * c.ftrl_l2)
        yield x


RULES = {
    rule.__name__: rule
    for rule in (adadelta, adagrad, adam, adamw, ftrl, lars, momentum, rmsprop, sgd)
}


def trained(config, name):
    """The values of a scalar variable after each of the gradients."""
    config = dataclasses.replace(config, optimizer=name)
    with classic_graph(), tf.Session() as session:
        x = tf.get_variable("x", initializer=START)
        gradient = tf.placeholder(tf.float32, [])
        optimizer = optimizers.make(config, tf.constant(RATE))
        train = optimizer.apply_gradients([(gradient, x)])
        session.run(tf.global_variables_initializer())
        values = []
        for g in GRADIENTS:
            session.run(train, {gradient: g})
            values.append(session.run(x))
        return np.array(values)


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_optimizer_follows_its_published_rule(name):
    expected = list(RULES[name](CONFIG, START, GRADIENTS))
    np.testing.assert_allclose(trained(CONFIG, name), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        ({"optimizer": "adam"}, True),
        ({"optimizer": "adam", "opt_epsilon": 1e-8}, False),
        ({"optimizer": "rmsprop"}, False),
    ],
)
def test_adam_with_the_epsilon_of_rmsprop_is_told(options, warned, caplog):
    with classic_graph():
        optimizers.make(TrainConfig(**options), tf.constant(0.1))
    assert ("--opt_epsilon=1e-8" in caplog.text) == warned


def test_unknown_optimizer_suggests():
    with pytest.raises(UserError, match=r"--optimizer=adm is unknown.*mean adam"):
        trained(CONFIG, "adm")


@pytest.mark.parametrize(("name", "without"), [("adamw", "adam"), ("lars", "momentum")])
def test_decoupled_decay_can_be_kept_off_what_is_no_weight(name, without):
    config = dataclasses.replace(CONFIG, decay_weights_only=True)
    plain = dataclasses.replace(CONFIG, opt_epsilon=CONFIG.adamw_epsilon)
    np.testing.assert_allclose(trained(config, name), trained(plain, without))


# What is done to gradients


def test_gradients_are_clipped_together():
    with tf.Graph().as_default(), tf.Session() as session:
        pairs = [(tf.constant(3.0), "a"), (tf.constant(4.0), "b")]
        clipped = optimizers.clip(pairs, 2.5)
        assert [variable for _, variable in clipped] == ["a", "b"]
        values = session.run([gradient for gradient, _ in clipped])
        np.testing.assert_allclose(values, [1.5, 2.0])
        unchanged = session.run([g for g, _ in optimizers.clip(pairs, 6.0)])
        np.testing.assert_allclose(unchanged, [3.0, 4.0])
    assert optimizers.clip(pairs, 0) is pairs


def test_accumulated_gradients_are_the_mean_over_batches():
    with classic_graph(), tf.Session() as session:
        x = tf.get_variable("x", [2])
        gradient = tf.placeholder(tf.float32, [2])
        [(mean, variable)], forget, add = optimizers.accumulate([(gradient, x)], 3)
        assert variable is x
        with tf.control_dependencies([mean]):
            forget = forget()
        assert len(tf.global_variables()) == 1  # No sums in checkpoints.
        session.run(tf.local_variables_initializer())
        for scale in (1.0, 10.0):  # Two steps; the second knows nothing of the first.
            session.run(add, {gradient: [scale, 0]})
            session.run(add, {gradient: [2 * scale, 3 * scale]})
            value, _ = session.run([mean, forget], {gradient: [0, 3 * scale]})
            np.testing.assert_allclose(value, [scale, 2 * scale])
