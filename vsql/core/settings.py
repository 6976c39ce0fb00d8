"""Settings: what SET, SHOW and `connect(**settings)` know.

Each has a name, a type, a default and a meaning; a value is checked when it is set.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from vsql.core import sqlstate
from vsql.core.durations import microseconds_long
from vsql.core.errors import OperationalError, ProgrammingError, did_you_mean

ACCESS_PATHS = ("auto", "exact", "index", "bitmap", "scan", "postfilter")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting; `choices` for words, `minimum` and `maximum` for numbers.

    `unit` is ms where a time may be given as '5s', bytes where a size may be as '2GB', duration for
    '30 days'; a `fixed` one can only be read.
    """

    name: str
    default: Any
    meaning: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    fixed: bool = False


_MEBIBYTE = 1024 * 1024
# What pgvector needs for LIMIT k to give k rows: here it always does.
_ITERATIVE = ("off", "strict_order", "relaxed_order")
_ALL = (
    Setting("target_recall", 0.97, "recall that a vector search must reach", 0.0, 1.0),
    Setting("ef_search", 0, "graph search effort; 0 lets target_recall decide", 0, 100_000),
    Setting("nprobe", 0, "inverted lists to scan; 0 lets target_recall decide", 0, 1_000_000),
    Setting("reorder_k", 0, "candidates to rank exactly; 0: what the index's codes need", 0, 10**6),
    Setting("access_path", "auto", "force one access path", choices=ACCESS_PATHS),
    Setting(
        "threads", 0, "threads of COPY, index builds and batch searches; 0: all cores", 0, 1024
    ),
    Setting(
        "busy_timeout_ms", 5_000, "how long a writer waits for another", 0, 3_600_000, unit="ms"
    ),
    Setting(
        "statement_timeout",
        0,
        "milliseconds until a statement is cancelled; 0: never",
        0,
        2**31 - 1,
        unit="ms",
    ),
    Setting("seal_rows", 10_000, "inlined rows of a table that become a sealed segment", 1, 10**9),
    Setting(
        "seal_bytes",
        32 * _MEBIBYTE,
        "inlined bytes that become a sealed segment",
        1,
        1 << 40,
        unit="bytes",
    ),
    Setting(
        "memory_limit",
        0,
        "bytes that this process's indexes, caches and relational engine may hold; 0: no limit",
        0,
        1 << 50,
        unit="bytes",
    ),
    Setting("background", "on", "seal, compact and collect beside the work", choices=("on", "off")),
    Setting("retention", "24 hours", "how long old versions are kept", unit="duration"),
    Setting("identity_cache", 64, "identity numbers that a connection takes at a time", 1, 10**6),
    Setting("segment_rows", 1_000_000, "rows of one sealed segment at most", 1, 10**9),
    Setting(
        "statement_bytes_max",
        64 * _MEBIBYTE,
        "length of a statement's text",
        1,
        1 << 40,
        unit="bytes",
    ),
    Setting("nesting_max", 1_000, "depth of parentheses in a statement", 1, 100_000),
    Setting(
        "external_access",
        "on",
        "read_parquet, COPY and their like; off stays",
        choices=("on", "off"),
    ),
    Setting("timezone", "UTC", "accepted for PostgreSQL's clients; TIMESTAMPTZ is in UTC"),
    Setting("search_path", "public", "accepted for PostgreSQL's clients; one schema exists"),
    Setting("hnsw.iterative_scan", "strict_order", "accepted; always on", choices=_ITERATIVE),
    Setting("hnsw.max_scan_tuples", 20_000, "accepted; no limit", 1, 2**31 - 1),
    Setting("hnsw.scan_mem_multiplier", 1.0, "accepted; no limit", 1, 1_000),
    Setting("ivfflat.iterative_scan", "strict_order", "accepted; always on", choices=_ITERATIVE),
    Setting("ivfflat.max_probes", 32_768, "accepted; no limit", 1, 32_768),
    Setting("application_name", "", "a label that a client may set"),
)

# What PostgreSQL's clients set when they connect, or ask for; none of it changes anything here.
_ACCEPTED = {
    "bytea_output": "hex",
    "client_encoding": "UTF8",
    "client_min_messages": "notice",
    "datestyle": "ISO, MDY",
    "default_table_access_method": "heap",
    "default_transaction_isolation": "repeatable read",
    "default_transaction_read_only": "off",
    "extra_float_digits": "1",
    "idle_in_transaction_session_timeout": "0",
    "intervalstyle": "postgres",
    "jit": "off",
    "lc_messages": "C.UTF-8",
    "lock_timeout": "0",
}
_FIXED = {
    "integer_datetimes": "on",
    "is_superuser": "on",
    "max_identifier_length": "63",
    "server_encoding": "UTF8",
    "server_version": "18.0",
    "server_version_num": "180000",
    "standard_conforming_strings": "on",
    "transaction_isolation": "repeatable read",
}
HARMLESS = tuple(_ACCEPTED)
"""Settings that can be set, to no effect."""
_FOR_CLIENTS = (
    *(Setting(name, text, "accepted for PostgreSQL's clients") for name, text in _ACCEPTED.items()),
    *(Setting(n, text, "what PostgreSQL's clients ask", fixed=True) for n, text in _FIXED.items()),
)
_AMOUNT = r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*"
_UNITS: Mapping[str, Mapping[str, float]] = {
    "ms": {"us": 0.001, "ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000},
    # As PostgreSQL reads them: kB is 1024 bytes.
    "bytes": {
        "b": 1,
        **{unit: 1024**power for power, unit in enumerate(("kb", "mb", "gb", "tb"), 1)},
        **{unit: 1024**power for power, unit in enumerate(("kib", "mib", "gib", "tib"), 1)},
    },
}

# Spellings of pgvector and Milvus, so that their users' statements work.
_ALIASES = {
    "hnsw.ef_search": "ef_search",
    "ivfflat.probes": "nprobe",
    "ef": "ef_search",
    "search_list": "ef_search",
}
_ALIAS_MINIMUM = 1

NOTHING: Mapping[str, Any] = MappingProxyType({})
SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {setting.name: setting for setting in (*_ALL, *_FOR_CLIENTS)}
)
DEFAULTS: Mapping[str, Any] = MappingProxyType({name: s.default for name, s in SETTINGS.items()})


def canonical(name: str) -> str:
    """Return the setting's own name; raises ProgrammingError (42704) for an unknown one."""
    folded = name.lower().removeprefix("vsql.")
    folded = _ALIASES.get(folded, folded)
    if folded not in SETTINGS:
        raise ProgrammingError(
            f'setting "{name}" does not exist',
            code=sqlstate.UNDEFINED_OBJECT,
            hint=did_you_mean(name, (*SETTINGS, *_ALIASES)),
        )
    return folded


def checked(name: str, value: Any) -> Any:
    """Return `value` as the setting's type; raises ProgrammingError (22023) where it can't be."""
    setting = SETTINGS[canonical(name)]
    alias = name.lower() in _ALIASES
    default: Any = setting.default
    if setting.fixed and str(value).lower() not in (str(default).lower(), "default"):
        raise OperationalError(
            f'parameter "{setting.name}" cannot be changed', code=sqlstate.CANT_CHANGE_PARAMETER
        )
    units = _UNITS.get(setting.unit)
    found = re.fullmatch(_AMOUNT, value) if units is not None and isinstance(value, str) else None
    if units is not None and found is not None:
        factor = units.get(found.group(2).lower())
        if factor is None:
            raise _bad_value(setting, value)
        value = round(float(found.group(1)) * factor)
    try:
        converted: Any = value.strip().lower() if setting.choices else type(default)(value)
        if value is None or (isinstance(value, float) and converted != value):
            raise ValueError(value)
    except (TypeError, ValueError, OverflowError, AttributeError):
        raise _bad_value(setting, value) from None
    if setting.unit == "duration":
        microseconds_long(converted)
    if setting.choices and converted not in setting.choices:
        raise _bad_value(setting, value)
    # What is 0 here to mean "as recall demands" is no value there.
    minimum = _ALIAS_MINIMUM if alias else setting.minimum
    if minimum is not None and not minimum <= converted <= (setting.maximum or 0):
        raise _bad_value(setting, value)
    return converted


def _bad_value(setting: Setting, value: Any) -> ProgrammingError:
    if setting.choices:
        allowed = "one of " + ", ".join(setting.choices)
    elif setting.minimum is not None:
        allowed = f"{setting.minimum:g} to {setting.maximum:g}"
        if setting.unit in _UNITS:
            allowed += f", or a number with one of {', '.join(_UNITS[setting.unit])}"
    else:
        allowed = type(setting.default).__name__
    return ProgrammingError(
        f'invalid value for setting "{setting.name}": {value!r}',
        code=sqlstate.INVALID_PARAMETER_VALUE,
        hint=f"allowed: {allowed}",
    )
