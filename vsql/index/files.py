"""Index files: one Arrow record batch each for scalar structures, errors as vsql's own.

A scalar structure is one uncompressed Arrow IPC file that is mapped into memory when opened; what
does not fit a column (the type of the key) is in the schema's metadata.
"""

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pyarrow as pa

from vsql.core import sqlstate
from vsql.core.errors import OperationalError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn failures while writing `path` into OperationalError (58030, 53100)."""
    try:
        yield
    except (OSError, RuntimeError, pa.ArrowException) as error:
        full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        raise OperationalError(
            f"cannot write the index file {path}: {error}",
            code=sqlstate.DISK_FULL if full else sqlstate.IO_ERROR,
        ) from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn foreign failures while reading `path` into ValueError; OSError passes."""
    try:
        yield
    except (RuntimeError, KeyError, pa.ArrowException) as error:
        if isinstance(error, OSError):
            raise
        raise ValueError(f"the index file {path} is unusable: {error}") from error


def write_batch(path: Path, batch: pa.RecordBatch) -> None:
    """Write one record batch as an Arrow IPC file; raises OperationalError."""
    with (
        writing(path),
        pa.OSFile(str(path), "wb") as sink,
        pa.ipc.new_file(sink, batch.schema) as writer,
    ):
        writer.write_batch(batch)


def read_batch(path: Path, *, mapped: bool = True) -> pa.RecordBatch:
    """Map or read the only record batch of `path`; raises OSError or ValueError."""
    with reading(path):
        reader = pa.ipc.open_file(pa.memory_map(str(path)) if mapped else pa.OSFile(str(path)))
        if reader.num_record_batches != 1:
            raise ValueError(f"the index file {path} must hold one record batch")
        return reader.get_batch(0)


def write_arrays(
    path: Path,
    names: Sequence[str],
    arrays: Sequence[npt.NDArray[Any]],
    described: Mapping[str, str],
) -> None:
    """Write arrays of any lengths and shapes, each flat in the one row of a column of its own.

    `described` is the schema's metadata. Raises OperationalError.
    """
    lists = [
        pa.LargeListArray.from_arrays(pa.array([0, part.size], pa.int64()), pa.array(part))
        for part in (array.reshape(-1) for array in arrays)
    ]
    batch = pa.record_batch(lists, names=list(names))
    write_batch(path, batch.replace_schema_metadata(dict(described)))


def read_arrays(
    path: Path, names: Sequence[str], *, mapped: bool
) -> tuple[list[npt.NDArray[Any]], Mapping[str, str]] | None:
    """Return what `write_arrays` wrote, None where the file holds something else.

    Raises OSError or ValueError.
    """
    batch = read_batch(path, mapped=mapped)
    if batch.schema.names != list(names) or batch.num_rows != 1:
        return None
    metadata = batch.schema.metadata or {}
    described = {name.decode(): text.decode() for name, text in metadata.items()}
    return [column.values.to_numpy() for column in batch.columns], described
