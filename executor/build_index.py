"""Builds the structures of an index over a sealed segment, and measures what they give."""

import warnings
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from vsql.core import sqlstate
from vsql.core.bits import rows_of
from vsql.core.changes import AddIndexFile, Change
from vsql.core.errors import OperationalError
from vsql.core.protocols import Progress
from vsql.core.schema import Index
from vsql.core.snapshot import CurvePoint, IndexFile, SegmentFacts, TableSnapshot
from vsql.core.types import Family
from vsql.executor.context import Context, column_of
from vsql.executor.evaluate import evaluate
from vsql.executor.frame import Frame
from vsql.grammar.parse import parse_expression
from vsql.index import registry
from vsql.planner.predicate import is_native
from vsql.storage.segment import OpenSegment


def build_all(table: TableSnapshot, facts: SegmentFacts, context: Context) -> tuple[Change, ...]:
    """Return the index files of every index of the table over one new segment.

    Rows are never held up by an index: a vector structure that can't hold them is left out, with a
    warning, and they are searched exactly.
    """
    built: list[Change] = []
    for index in table.indexes:
        files, failure = _built(index, structures_of(index, table), table, facts, context)
        built.extend(files)
        if failure is not None:
            _warn(index, failure)
    return tuple(built)


def build(
    index: Index, table: TableSnapshot, facts: SegmentFacts, context: Context
) -> tuple[Change, ...]:
    """Return the index files of one index over one segment.

    Raises OperationalError (54000) where no structure of the index can hold the segment's vectors;
    one of several that can't is left out.
    """
    files, failure = _built(index, structures_of(index, table), table, facts, context)
    if failure is not None and not files:
        raise failure
    return files


def build_missing(
    index: Index, table: TableSnapshot, facts: SegmentFacts, context: Context
) -> tuple[Change, ...]:
    """Return the index files that one segment lacks, but for those that were tried in vain."""
    known = context.resources.unbuildable
    missing = tuple(
        name
        for name in structures_of(index, table)
        if facts.structure(index.id, name) is None and (facts.id, index.id, name) not in known
    )
    files, failure = _built(index, missing, table, facts, context)
    if failure is not None:
        _warn(index, failure)
    return files


def structures_of(index: Index, table: TableSnapshot) -> tuple[str, ...]:
    """Return the structures that an index consists of over each segment."""
    if index.metric is None:
        return registry.structures(index.kind)
    column = table.table.key_column(index)
    # Over an expression: such searches are exact, and the index is a definition alone.
    return () if column is None else registry.structures_for(index.kind, column.type, index.metric)


def _warn(index: Index, failure: OperationalError) -> None:
    warnings.warn(
        f'index "{index.name}": {failure.message}; rows are searched exactly',
        RuntimeWarning,
        stacklevel=2,
    )


def _built(
    index: Index,
    names: tuple[str, ...],
    table: TableSnapshot,
    facts: SegmentFacts,
    context: Context,
) -> tuple[tuple[Change, ...], OperationalError | None]:
    """Return the files of some structures, and why one of them could not be built."""
    if not names:
        return (), None
    (segment,) = context.segments(TableSnapshot(table.table, (facts,), table.indexes))
    files: list[Change] = []
    failure = None
    if index.metric is not None:
        for number, name in enumerate(names):
            progress = _progress(index, number, len(names), context)
            try:
                file = _build_vector(index, name, table, segment, progress, context)
            except OperationalError as error:
                if error.sqlstate != sqlstate.PROGRAM_LIMIT_EXCEEDED:
                    raise
                failure = error
                context.resources.unbuildable.add((facts.id, index.id, name))
            else:
                files.append(AddIndexFile(table.table.id, file))
        return tuple(files), failure
    keys = _keys(index, table, segment, context)
    for name in names:
        searcher = registry.scalar_kind(name).build(
            keys, registry.build_options(name, index.options)
        )
        file = _stored(index, name, table, segment, searcher, (), 0.0, context)
        files.append(AddIndexFile(table.table.id, file))
    return tuple(files), None


def _progress(index: Index, number: int, total: int, context: Context) -> Progress:
    report: Callable[[str, float], None] | None = context.progress

    def advance(fraction: float) -> None:
        context.check_interrupt()
        if report is not None:
            report(f"building index {index.name}", (number + fraction) / total)

    return advance


def _build_vector(
    index: Index,
    name: str,
    table: TableSnapshot,
    segment: OpenSegment,
    progress: Progress,
    context: Context,
) -> IndexFile:
    from vsql.index.calibrate import measure

    column = table.table.key_column(index)
    assert index.metric is not None and column is not None
    kind = registry.vector_kind(name)
    vectors = segment.vectors(column.id)
    searcher = kind.build(
        vectors,
        index.metric,
        registry.build_options(name, index.options),
        threads=context.threads,
        progress=progress,
    )
    valid = segment.vector_bits(column.id)
    rows = None if valid is None else rows_of(valid, segment.row_count)
    curve, exact_nanoseconds = measure(
        searcher, vectors, index.metric, shape=kind.shape, valid_rows=rows
    )
    progress(1.0)
    return _stored(index, name, table, segment, searcher, curve, exact_nanoseconds, context)


def _stored(
    index: Index,
    name: str,
    table: TableSnapshot,
    segment: OpenSegment,
    searcher: Any,
    curve: tuple[CurvePoint, ...],
    exact_nanoseconds: float,
    context: Context,
) -> IndexFile:
    path, size, checksum = context.resources.store.write_index(
        table.table.id, segment.id, index.id, name, searcher.save, searcher
    )
    return IndexFile(index.id, segment.id, name, path, size, checksum, curve, exact_nanoseconds)


def _keys(index: Index, table: TableSnapshot, segment: OpenSegment, context: Context) -> pa.Array:
    if index.unique:
        from vsql.executor.keys import key_of

        names = index.key_columns
        return key_of([column_of(segment, table.table.column(name)) for name in names])
    column = table.table.key_column(index)
    if column is not None and column.type.family is Family.JSON:
        from vsql.executor.json_leaves import leaf_keys

        return leaf_keys(column_of(segment, column), context.relational())
    node = parse_expression(index.leading_key)
    frame = Frame(context, table.table, segment)
    if is_native(node, table.table.columns):
        value = evaluate(node, frame)
        if isinstance(value, pa.Array):
            return value
    from sqlglot import exp

    columns = {c.name: frame.column(c.name) for c in node.find_all(exp.Column)}
    return context.relational().expression(node, columns, {}, length=segment.row_count)
