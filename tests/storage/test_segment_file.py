"""How segment files are mapped."""

import os
from pathlib import Path

import pyarrow as pa
import pytest

from vsql.storage import segment_file

_MAPS = Path("/proc/self/smaps")


def flags_at(address: int) -> list[str]:
    """Return the kernel's flags of the mapping that an address is in."""
    inside = False
    for line in _MAPS.read_text().splitlines():
        first, *rest = line.split()
        if first == "VmFlags:" and inside:
            return rest
        if not first.endswith(":"):
            start, end = (int(part, 16) for part in first.split("-"))
            inside = start <= address < end
    raise AssertionError(address)


@pytest.mark.skipif(not _MAPS.exists(), reason="needs /proc")
def test_the_system_does_not_read_ahead_of_scattered_rows(tmp_path: Path) -> None:
    """Read ahead, each row of a search brought megabytes in, and drove out what was needed."""
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(range(80_000), pa.float32()), 8)
    words = pa.array([f"word {number}" for number in range(10_000)])
    written = pa.record_batch({"e": vectors, "w": words})
    segment_file.write(tmp_path / "rows.arrow", written)
    files = len(os.listdir("/proc/self/fd"))
    opened = segment_file.read(tmp_path / "rows.arrow", 10_000)
    assert opened.batch.equals(written)
    assert opened.scattered.equals(written)
    for batch, expected in ((opened.batch, False), (opened.scattered, True)):
        for column in batch.columns:
            for buffer in column.buffers():
                if buffer is not None:
                    last = buffer.address + buffer.size - 1
                    assert ("rr" in flags_at(buffer.address)) is expected
                    assert ("rr" in flags_at(last)) is expected
    assert len(os.listdir("/proc/self/fd")) == files
