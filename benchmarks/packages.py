"""The packages that benchmarks read, and their vectors."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

ROOT = Path(__file__).parent.parent
FOLDER = ROOT.parent / "shared" / "data"
"""Where the 62,666 packages are looked for."""
Floats = npt.NDArray[np.float32]


def packages_file(folder: Path) -> Path:
    """Return a folder's packages.parquet, or the 4,000 packages of examples/ where it has none."""
    wanted = folder / "packages.parquet"
    return wanted if wanted.exists() else ROOT / "examples" / "packages.parquet"


def matrix(table: pa.Table) -> Floats:
    """Return a table's column `embedding` as (rows, dimension)."""
    column = table.column("embedding").combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(flat.reshape(len(column), -1), np.float32)


def unit(vectors: Floats) -> Floats:
    """Return vectors of length one; zero vectors stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.ascontiguousarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
