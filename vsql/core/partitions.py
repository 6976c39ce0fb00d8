"""Which partition a value belongs to."""

import json
import zlib
from typing import Any

from vsql.core.schema import Partitioning

DEFAULT_PARTITION = "default"


def partition_of(value: Any, partitioning: Partitioning) -> str:
    """Return the partition of a value: a number as text for a hash, a name for a list."""
    text = json.dumps(value, default=str)
    if partitioning.kind == "key":
        return str(zlib.crc32(text.encode()) % partitioning.count)
    for name, values in partitioning.parts:
        if text in values:
            return name
    return DEFAULT_PARTITION
