"""What threads read ahead of is what the sources yield, in their order; nothing waits for ever."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from vsql.executor.read_ahead import read_ahead


def numbers(start: int, end: int) -> Callable[[], Iterator[int]]:
    return lambda: iter(range(start, end))


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("sizes", [(), (0,), (5,), (1, 0, 7, 3), (2,) * 40])
def test_order(threads: int, sizes: tuple[int, ...]) -> None:
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    sources = [numbers(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    assert list(read_ahead(sources, threads)) == list(range(sum(sizes)))


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_comes_in_its_place(threads: int) -> None:
    def broken() -> Iterator[int]:
        yield 3
        raise LookupError("broken")

    with closing(read_ahead([numbers(0, 3), broken, numbers(4, 9)], threads)) as reader:
        assert [next(reader) for _ in range(4)] == [0, 1, 2, 3]
        with pytest.raises(LookupError, match="broken"):
            next(reader)


@pytest.mark.parametrize("taken", [0, 1, 4])
def test_closed_early_no_thread_is_left(taken: int) -> None:
    before = threading.active_count()
    with closing(read_ahead([numbers(0, 1_000), numbers(0, 1_000)], 2)) as reader:
        assert [next(reader) for _ in range(taken)] == list(range(taken))
    assert threading.active_count() == before


def test_no_source_is_more_than_two_items_ahead() -> None:
    made = [threading.Event() for _ in range(10)]

    def source() -> Iterator[int]:
        for number, event in enumerate(made):
            event.set()
            yield number

    # Closed, or a test that fails would leave a thread waiting.
    with closing(read_ahead([source, numbers(10, 12)], 2)) as reader:
        assert next(reader) == 0
        assert made[2].wait(60)
        # Nothing stands in the way of a fourth but that nobody took the second.
        assert not made[3].wait(0.2)
        assert list(reader) == list(range(1, 12))
