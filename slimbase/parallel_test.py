import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from slimbase import parallel


def test_results_are_in_order_and_few_wait():
    begun = []

    def square(number):
        begun.append(number)
        return number**2

    with ThreadPoolExecutor(3) as pool:
        results = parallel.in_order(pool, square, range(100), most=4)
        assert [next(results) for _ in range(10)] == [n**2 for n in range(10)]
        assert max(begun) <= 10 + 4
        assert list(results) == [n**2 for n in range(10, 100)]


def test_a_failure_cancels_what_has_not_begun():
    begun, go_on = [], threading.Event()

    def fail(number):
        begun.append(number)
        if number == 0:
            raise ValueError("zero")
        go_on.wait(10)

    with ThreadPoolExecutor(2) as pool:
        with pytest.raises(ValueError, match="zero"):
            list(parallel.in_order(pool, fail, range(100), most=20))
        go_on.set()
    assert len(begun) <= 4
