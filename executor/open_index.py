"""An index structure, opened once per process; a damaged file is built anew."""

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
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
    load, mapped = _load(file, context)
    try:
        return store.open_index(file, load, mapped=mapped)
    except OperationalError as error:
        warnings.warn(f"{error.message}; it is built anew", RuntimeWarning, stacklevel=2)
        from vsql.executor.integrity import rebuilt

        for table in context.snapshot.tables.values():
            for segment in table.segments:
                if segment.id == file.segment_id and file in segment.index_files:
                    rebuilt(file, table, segment, context)
                    return store.open_index(file, load, mapped=mapped)
        raise


def _load(file: IndexFile, context: Context) -> tuple[Callable[[Path], Any], bool]:
    """Return what opens a file, and whether that maps it: scalar structures always are."""
    name = file.structure
    if not registry.is_vector_kind(name):
        return registry.scalar_kind(name).load, True
    arguments = registry.load_arguments(name, _options(file.index_id, context))
    mapped = arguments.get("mapped", False)
    return partial(registry.vector_kind(name).load, **arguments), mapped


def _options(index_id: int, context: Context) -> Mapping[str, str]:
    """Return what WITH said of an index; nothing where the snapshot lacks it, being older."""
    for table in context.snapshot.tables.values():
        for index in table.indexes:
            if index.id == index_id:
                return index.options
    return {}
