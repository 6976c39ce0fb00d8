"""An index structure, opened once per process; a damaged file is built anew."""

import warnings
from typing import Any

from vsql.core.errors import OperationalError
from vsql.core.snapshot import IndexFile
from vsql.executor.context import Context
from vsql.index import registry


def open_index(file: IndexFile, context: Context) -> Any:
    """Return an opened index structure; one whose file is damaged is built anew, with a warning.

    What is built lives in this process; CHECK DATABASE tells the catalog of it. Raises
    OperationalError (XX001) where the segment can't be read either.
    """
    store = context.resources.store
    known = store.opened(file.name)
    if known is not None:
        return known
    name = file.structure
    is_vector = registry.is_vector_kind(name)
    kind = registry.vector_kind(name) if is_vector else registry.scalar_kind(name)
    try:
        return store.open_index(file, kind.load)
    except OperationalError as error:
        warnings.warn(f"{error.message}; it is built anew", RuntimeWarning, stacklevel=2)
        from vsql.executor.integrity import rebuilt

        for table in context.snapshot.tables.values():
            for segment in table.segments:
                if segment.id == file.segment_id and file in segment.index_files:
                    rebuilt(file, table, segment, context)
                    return store.open_index(file, kind.load)
        raise
