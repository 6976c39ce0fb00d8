"""How SQLAlchemy's test suite sets a database up."""

from typing import Any

from sqlalchemy.testing.provision import temp_table_keyword_args


@temp_table_keyword_args.for_db("vsql")
def _temporary(config: Any, engine: Any) -> dict[str, list[str]]:
    return {"prefixes": ["TEMPORARY"]}
