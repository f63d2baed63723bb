import pytest
import tensorflow.compat.v1 as tf

from slimbase.errors import UserError
from slimbase.graph import (
    classic_graph,
    explained_memory_errors,
    quick_variables,
    session_config,
)


def test_graph_is_new_and_the_default_one_inside():
    outside = tf.get_default_graph()
    with classic_graph() as graph:
        assert tf.get_default_graph() is graph
        assert not graph.get_operations()
    assert tf.get_default_graph() is outside


def test_variables_are_reference_variables_as_freeze_graph_needs_them():
    with classic_graph() as graph:
        tf.get_variable("a", [2])
        with tf.variable_scope("inner"):
            tf.get_variable("b", [2])
        kinds = {op.type for op in graph.get_operations()}
    assert "VariableV2" in kinds
    assert "VarHandleOp" not in kinds


def test_quick_variables_are_what_they_are_otherwise():
    with classic_graph():
        a, b = tf.get_variable("a", [2]), tf.get_variable("b", [2])
        with quick_variables():
            assert {a: 1, b: 2}[b] == 2
            assert hash(a) == id(a)
            assert a == a
            assert a != b
        assert hash(a) == id(a)
    assert (tf.constant([1, 2]) == [1, 3]).numpy().tolist() == [True, False]


def test_quick_variables_change_nothing_for_eager_programs():
    variable = tf.Variable([1.0, 2.0], use_resource=True)
    with quick_variables():
        assert (variable == [1.0, 3.0]).numpy().tolist() == [True, False]
        with pytest.raises(TypeError, match="unhashable"):
            hash(variable)
    with pytest.raises(RuntimeError), classic_graph(), quick_variables():
        raise RuntimeError
    with pytest.raises(TypeError, match="unhashable"):
        hash(variable)


def draws(seed):
    with classic_graph(seed), tf.Session() as session:
        return list(session.run(tf.random.uniform([8])))


def test_seed_repeats_random_operations():
    assert draws(1) == draws(1)
    assert draws(1) != draws(2)
    assert draws(0) == draws(0)


def test_without_a_seed_random_operations_differ():
    assert draws(None) != draws(None)


def test_branch_that_is_not_taken_reads_no_variable():
    with classic_graph(), tf.Session(config=session_config()) as session:
        variable = tf.get_variable("a", initializer=3.0)
        initialized = tf.is_variable_initialized(variable)
        value = tf.cond(initialized, variable.read_value, lambda: 0.0)
        assert session.run(value) == 0
        session.run(variable.initializer)
        assert session.run(value) == 3


@pytest.fixture(params=[True, False])
def second_control_flow(request):
    """Whether the program around uses the second kind of control flow."""
    before = tf.control_flow_v2_enabled()
    (tf.enable_control_flow_v2 if request.param else tf.disable_control_flow_v2)()
    yield request.param
    (tf.enable_control_flow_v2 if before else tf.disable_control_flow_v2)()


def test_control_flow_of_the_program_around_is_left_as_it_was(second_control_flow):
    with classic_graph():
        assert not tf.control_flow_v2_enabled()
    assert tf.control_flow_v2_enabled() == second_control_flow
    with pytest.raises(RuntimeError), classic_graph():
        raise RuntimeError
    assert tf.control_flow_v2_enabled() == second_control_flow


def test_sessions_move_operations_to_a_device_that_has_them():
    with classic_graph(), tf.device("/gpu:7"):
        with tf.Session(config=session_config()) as session:
            assert session.run(tf.constant(1) + 1) == 2


@pytest.mark.slow
def test_running_out_of_memory_is_told():
    with classic_graph(), tf.Session() as session, pytest.raises(UserError) as error:
        with explained_memory_errors(batch_size=32):
            session.run(tf.random.uniform([1 << 20, 1 << 20, 1 << 10]))
    message = str(error.value)
    assert "--batch_size=32" in message and "--batch_size=16" in message


def test_gpu_memory_growth():
    assert session_config(True).gpu_options.allow_growth
    assert not session_config().gpu_options.allow_growth
