"""Which reads of a file are of rows here and there, so that reading ahead of them is waste."""

_FEW = 64


def are_scattered(rows: int, total: int) -> bool:
    """Whether so many of all rows are few: reading each by itself takes no longer than all.

    A disk gives a page in some 100 microseconds, and in as much time 64 pages that follow it.
    """
    return rows * _FEW < total
