"""Segment files: Arrow IPC files of one uncompressed record batch, read through memory maps.

A file is written under a temporary name, synced, renamed, and its folder synced, so that a name
that the catalog knows is always whole. Every buffer starts at a multiple of 64 bytes.
"""

import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from vsql.core import sqlstate
from vsql.core.errors import OperationalError
from vsql.core.scattered import do_not_read_ahead

_TEMPORARY = ".partial"


@dataclass(frozen=True, slots=True)
class Opened:
    """A file's rows, twice: for who reads many that follow each other, and for who picks a few.

    Both are the same pages. Where memory is short, reading ahead of a few rows drops pages that
    are needed again, up to megabytes for each row: a search took 40 ms that needs 0.2.
    """

    batch: pa.RecordBatch
    scattered: pa.RecordBatch


class _Checksummed:
    """A file object that keeps the CRC-32 of what is written."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.checksum = 0
        self.closed = False

    def write(self, data: Any) -> int:
        view = memoryview(data)
        self.checksum = zlib.crc32(view, self.checksum)
        written: int = self._file.write(view)
        return written

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self.closed = True


def write(path: Path, batch: pa.RecordBatch) -> tuple[int, str]:
    """Write a segment file; returns its size and checksum. Raises OperationalError."""
    partial = path.with_name(path.name + _TEMPORARY)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            sink = _Checksummed(file)
            options = pa.ipc.IpcWriteOptions(compression=None)
            stream = pa.PythonFile(sink, mode="w")
            with pa.ipc.new_file(stream, batch.schema, options=options) as writer:
                writer.write_batch(batch)
            file.flush()
            os.fsync(file.fileno())
        size = partial.stat().st_size
        partial.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise cannot_write(path, error) from None
    return size, f"{sink.checksum:08x}"


def cannot_write(path: Path, error: OSError) -> OperationalError:
    """Return the error for a file that could not be written: 53100 where the disk is full."""
    full = error.errno in (28, 122, 27)
    return OperationalError(
        f'cannot write "{path}": {error.strerror or error}',
        code=sqlstate.DISK_FULL if full else sqlstate.IO_ERROR,
    )


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path, row_count: int) -> Opened:
    """Map a segment file into memory; raises OperationalError (58P01, XX001) naming it."""
    try:
        opened = Opened(_mapped(path, row_count), _mapped(path, row_count))
    except FileNotFoundError:
        raise OperationalError(
            f'segment file "{path}" is missing: its {row_count} rows cannot be read',
            code=sqlstate.UNDEFINED_FILE,
        ) from None
    except (pa.ArrowException, OSError) as error:
        raise OperationalError(
            f'segment file "{path}" is damaged, its {row_count} rows cannot be read: '
            f"{str(error).splitlines()[0]}",
            code=sqlstate.DATA_CORRUPTED,
        ) from None
    _do_not_read_ahead(opened.scattered)
    return opened


def _mapped(path: Path, row_count: int) -> pa.RecordBatch:
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    if reader.num_record_batches != 1:
        raise pa.ArrowInvalid(f"{reader.num_record_batches} record batches")
    batch = reader.get_batch(0)
    if batch.num_rows != row_count:
        raise pa.ArrowInvalid(f"{batch.num_rows} rows instead of {row_count}")
    return batch


def _do_not_read_ahead(batch: pa.RecordBatch) -> None:
    """Tell the system that a mapped batch is read here and there."""
    buffers = [buffer for column in batch.columns for buffer in column.buffers() if buffer]
    if buffers:
        end = max(buffer.address + buffer.size for buffer in buffers)
        do_not_read_ahead(min(buffer.address for buffer in buffers), end)


def encode_batch(batch: pa.RecordBatch | None) -> bytes:
    """Return a batch as the bytes of an Arrow IPC stream, as the catalog keeps it."""
    assert batch is not None
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    encoded: bytes = sink.getvalue().to_pybytes()
    return encoded


def decode_batch(data: bytes) -> pa.RecordBatch:
    """Return the batch of an Arrow IPC stream; raises OperationalError (XX001)."""
    try:
        return pa.ipc.open_stream(pa.py_buffer(data)).read_next_batch()
    except (pa.ArrowException, StopIteration):
        raise OperationalError(
            "an inlined batch in the catalog is damaged", code=sqlstate.DATA_CORRUPTED
        ) from None
