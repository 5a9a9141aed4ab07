"""Order, bounds and errors of work in threads."""

import pytest

from fairlora_cls.data import threads
from fairlora_cls.data.threads import map_in_threads


def test_results_come_in_order():
    assert list(map_in_threads(lambda x: x * x, range(2000))) == [x * x for x in range(2000)]
    assert list(map_in_threads(len, [])) == []


def test_no_more_than_a_bounded_number_is_begun(monkeypatch):
    monkeypatch.setattr(threads, "AT_ONCE", 10)
    begun = []
    results = map_in_threads(begun.append, range(100), workers=2)
    next(results)
    assert len(begun) <= 10
    results.close()


def test_errors_reach_the_caller():
    with pytest.raises(ZeroDivisionError):
        list(map_in_threads(lambda x: 1 / x, [1, 0]))
