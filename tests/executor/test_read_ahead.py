"""What threads read ahead of is what the sources yield, in their order; nothing waits for ever."""

import threading
from collections.abc import Callable, Iterator

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

    reader = read_ahead([numbers(0, 3), broken, numbers(4, 9)], threads)
    assert [next(reader) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(LookupError, match="broken"):
        next(reader)


@pytest.mark.parametrize("taken", [0, 1, 4])
def test_closed_early_no_thread_is_left(taken: int) -> None:
    before = threading.active_count()
    reader = read_ahead([numbers(0, 1_000), numbers(0, 1_000), numbers(0, 1_000)], 2)
    assert [next(reader) for _ in range(taken)] == list(range(taken))
    reader.close()
    assert threading.active_count() == before


def test_no_source_is_more_than_two_items_ahead() -> None:
    made: list[int] = []
    two_made = threading.Event()

    def source() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            if number == 2:
                two_made.set()
            yield number

    reader = read_ahead([source, numbers(10, 12)], 2)
    assert next(reader) == 0
    assert two_made.wait(60)
    assert len(made) <= 3
    assert list(reader) == list(range(1, 12))
