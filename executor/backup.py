"""BACKUP and RESTORE DATABASE: the catalog copied as it is at one moment, and the files it names.

Files never change, so a second backup into the same folder copies only what is new.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from vsql.catalog.catalog import Catalog
from vsql.catalog.collect import files_known
from vsql.catalog.layout import FILE_NAME
from vsql.core import changes as change
from vsql.core import sqlstate
from vsql.core.changes import Change
from vsql.core.errors import OperationalError
from vsql.executor.context import Context
from vsql.storage.segment_file import decode_batch, sync_folder

_FOLDERS = ("segments", "indexes")


def backup(path: str, context: Context) -> int:
    """Write a backup into a folder; returns the files copied. Raises OperationalError."""
    root = context.resources.store.root
    if root is None:
        raise OperationalError(
            "a database in memory has no files to back up",
            code=sqlstate.FEATURE_NOT_SUPPORTED,
            hint="use EXPORT DATABASE",
        )
    target = Path(path).expanduser()
    if target.exists() and not target.is_dir():
        raise OperationalError(f'"{path}" is a file', code=sqlstate.IO_ERROR)
    if target.is_dir() and any(target.iterdir()) and not (target / FILE_NAME).exists():
        raise OperationalError(
            f'folder "{path}" holds other files', code=sqlstate.IO_ERROR, hint="name an empty one"
        )
    try:
        target.mkdir(parents=True, exist_ok=True)
        partial = target / f"{FILE_NAME}.partial"
        partial.unlink(missing_ok=True)
        context.host.catalog.copy_to(partial)
        copied = Catalog.open_file(partial)
        try:
            names = files_known(copied)
        finally:
            copied.close()
        count = sum(_copy(root / name, target / name) for name in sorted(names))
        partial.replace(target / FILE_NAME)
        sync_folder(target)
        _remove_others(target, names)
    except OSError as error:
        raise OperationalError(
            f'cannot write the backup "{path}": {error.strerror or error}', code=sqlstate.IO_ERROR
        ) from None
    return count


def _copy(source: Path, target: Path) -> bool:
    """Copy a file unless it is there; a link serves where both lie on one file system."""
    if target.exists() and target.stat().st_size == source.stat().st_size:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except OSError:
        shutil.copyfile(source, partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
    partial.replace(target)
    return True


def _remove_others(target: Path, names: set[str]) -> None:
    for path in _files(target):
        if str(path.relative_to(target)) not in names:
            path.unlink()


def _files(root: Path) -> Iterator[Path]:
    for folder in _FOLDERS:
        if (root / folder).is_dir():
            yield from (path for path in (root / folder).rglob("*") if path.is_file())


def restore(path: str, context: Context) -> tuple[Change, ...]:
    """Return the changes that replace all tables by those of a backup; raises OperationalError."""
    source = Path(path).expanduser()
    if not (source / FILE_NAME).is_file():
        raise OperationalError(f'"{path}" holds no backup', code=sqlstate.UNDEFINED_FILE)
    catalog = Catalog.open(source, read_only=True, busy_timeout_ms=5_000)
    try:
        snapshot = catalog.load()
        root = context.resources.store.root
        staged: list[Change] = [
            change.DropTable(t.table.id)
            for t in context.snapshot.tables.values()
            if not t.table.temporary
        ]
        staged += [change.DropObject(o.kind, o.name) for o in context.snapshot.objects.values()]
        for table in snapshot.tables.values():
            staged.append(change.AddTable(table.table))
            staged += [change.AddIndex(index) for index in table.indexes]
            for segment in table.segments:
                rows = None
                if segment.name is None:
                    rows = decode_batch(catalog.inlined_rows(segment.id))
                elif root is not None:
                    _copy(source / segment.name, root / segment.name)
                bare = replace(segment, deletes=(), deleted_count=0, index_files=())
                staged.append(change.AddSegment(bare, rows))
                for bits in segment.deletes:
                    staged.append(change.AddDeletes(table.table.id, segment.id, bits, _count(bits)))
                for file in segment.index_files:
                    if root is not None:
                        _copy(source / file.name, root / file.name)
                    staged.append(change.AddIndexFile(table.table.id, file))
        staged += [change.PutObject(named) for named in snapshot.objects.values()]
        staged += [change.PutSetting(n, v) for n, v in snapshot.settings.items()]
        for column_id, following in catalog.rows("SELECT column_id, next_value FROM sequence"):
            context.host.catalog.change(
                [
                    (
                        "INSERT INTO sequence VALUES (:id, :next) ON CONFLICT (column_id) "
                        "DO UPDATE SET next_value = MAX(next_value, :next)",
                        {"id": column_id, "next": following},
                    )
                ]
            )
    except OSError as error:
        raise OperationalError(
            f'cannot read the backup "{path}": {error.strerror or error}', code=sqlstate.IO_ERROR
        ) from None
    finally:
        with contextlib.suppress(OperationalError):
            catalog.close()
    return tuple(staged)


def _count(bits: bytes) -> int:
    from pyroaring import BitMap

    return len(BitMap.deserialize(bits))
