"""Terminal cells: the width of text, cutting and padding it, and colour."""

BOLD = "1"
DIM = "2"
RED = "31"
GREEN = "32"


def cell_width(text: str) -> int:
    """Return how many terminal columns `text` takes: East Asian wide characters take two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def cut(text: str, width: int) -> str:
    """Return `text` in at most `width` columns, ending in an ellipsis where it was longer."""
    if cell_width(text) <= width:
        return text
    used = 0
    for position, character in enumerate(text):
        used += cell_width(character)
        if used > width - 1:
            return text[:position] + "…"
    return text


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Return `text` filled with spaces to `width` columns; `right` puts them before it."""
    fill = " " * (width - cell_width(text))
    return fill + text if right else text + fill


def paint(text: str, code: str, colour: bool) -> str:
    """Return `text` in the ANSI style `code` if `colour`."""
    return f"\x1b[{code}m{text}\x1b[0m" if colour and text else text
