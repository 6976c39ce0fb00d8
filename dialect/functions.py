"""Aggregates of vectors: `select(avg(Item.embedding))` gives a vector.

`sum` is SQLAlchemy's own, which keeps the type of what it adds up. Names follow pgvector's Python
package, https://github.com/pgvector/pgvector-python.
"""

from typing import Any

from sqlalchemy.sql.functions import ReturnTypeFromArgs
from sqlalchemy.sql.functions import sum as sum


class avg(ReturnTypeFromArgs[Any]):  # noqa: N801  # its name is the function's
    """The mean of vectors, of their type; `func.avg` stays what it is."""

    inherit_cache = True
    package = "vsql"
