"""What Alembic loads by itself, through the entry-point group `alembic.plugins`.

A module of its own: Alembic loads it while it is being imported, which may be by `migrations.py`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alembic.runtime.plugins import Plugin


def setup(plugin: "Plugin") -> None:
    """Import what compares and alters definitions: its classes make themselves known."""
    import vsql.dialect.migrations  # noqa: F401  # imported for what it registers
