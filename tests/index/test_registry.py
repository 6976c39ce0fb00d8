"""Kinds by name, their options, and what CREATE INDEX is refused."""

import subprocess
import sys
from importlib import metadata
from typing import Any

import pytest

from vsql.core.distance import Metric
from vsql.core.errors import ProgrammingError
from vsql.core.types import SqlType, named
from vsql.index import registry

VECTOR = named("VECTOR", (8,))
BIT = named("BIT", (8,))
TEXT = named("TEXT")


@pytest.mark.parametrize(
    ("name", "structures", "vector"),
    [
        ("AUTOINDEX", ("HNSW", "SCANN", "BIN_IVF_FLAT"), True),
        ("autoindex", ("HNSW", "SCANN", "BIN_IVF_FLAT"), True),
        ("BIN_FLAT", (), True),
        ("bin_hnsw", ("BIN_HNSW",), True),
        ("hnsw", ("HNSW",), True),
        ("SCANN", ("SCANN",), True),
        ("FLAT", (), True),
        ("BTREE", ("STL_SORT",), False),
        ("btree", ("STL_SORT",), False),
        ("STL_SORT", ("STL_SORT",), False),
        ("Bitmap", ("BITMAP",), False),
    ],
)
def test_structures(name: str, structures: tuple[str, ...], vector: bool) -> None:
    assert registry.structures(name) == structures
    assert registry.is_vector_kind(name) == vector
    for structure in structures:
        kind = registry.vector_kind(structure) if vector else registry.scalar_kind(structure)
        assert kind.name == structure
    assert registry.canonical(registry.canonical(name)) == registry.canonical(name)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("HNWS", "HNSW"), ("BTRE", "BTREE"), ("IVFFLAK", "IVFFLAT"), ("zzz", "known")],
)
def test_unknown_kinds(name: str, hint: str) -> None:
    with pytest.raises(ProgrammingError, match=hint) as caught:
        registry.structures(name)
    assert caught.value.sqlstate == "42704"


def test_the_other_group() -> None:
    with pytest.raises(ProgrammingError):
        registry.vector_kind("BTREE")
    with pytest.raises(ProgrammingError):
        registry.scalar_kind("HNSW")


def test_defaults() -> None:
    assert registry.default_kind(VECTOR) == "AUTOINDEX"
    assert registry.default_kind(BIT) == "AUTOINDEX"
    assert registry.default_kind(TEXT) == "BTREE"


@pytest.mark.parametrize(
    ("name", "type_", "metric", "expected"),
    [
        ("AUTOINDEX", VECTOR, Metric.COSINE, ("HNSW", "SCANN")),
        ("AUTOINDEX", VECTOR, Metric.L1, ()),
        ("AUTOINDEX", BIT, Metric.JACCARD, ("BIN_IVF_FLAT",)),
        ("AUTOINDEX", BIT, Metric.HAMMING, ("BIN_IVF_FLAT",)),
        ("BIN_FLAT", BIT, Metric.JACCARD, ()),
        ("FLAT", BIT, Metric.HAMMING, ()),
        ("BITMAP", TEXT, None, ("BITMAP",)),
        ("BITMAP", named("JSON"), None, ()),
    ],
)
def test_structures_for(
    name: str, type_: SqlType, metric: Metric | None, expected: tuple[str, ...]
) -> None:
    assert registry.structures_for(name, type_, metric) == expected


@pytest.mark.parametrize(
    ("structure", "written", "expected"),
    [
        ("HNSW", {}, {"m": 16, "ef_construction": 200, "mmap": True}),
        ("HNSW", {"M": "32", "efConstruction": "64"}, {"m": 32, "ef_construction": 64}),
        ("HNSW", {"m": "8", "nlist": "5"}, {"m": 8, "ef_construction": 200}),
        ("SCANN", {"lists": "100"}, {"nlist": 100}),
        ("SCANN", {"NLIST": " 7 "}, {"nlist": 7}),
        ("HNSW_SQ", {"SQ_TYPE": "bf16", "mmap": "OFF"}, {"sq_type": "BF16", "mmap": False}),
        ("HNSW_PQ", {"M": "20", "m": "4"}, {"M": 20, "m": 4}),
        ("HNSW_PQ", {"m": "4", "efconstruction": "9"}, {"M": 16, "m": 4, "ef_construction": 9}),
        ("IVF_PQ", {"M": "4", "NBITS": "6"}, {"m": 4, "nbits": 6}),
        ("DISKANN", {"PQCodeBudgetGBRatio": "0.05"}, {"pq_code_budget_gb_ratio": 0.05}),
        ("DISKANN", {"maxDegree": "32"}, {"max_degree": 32, "search_list_size": 100}),
        ("STL_SORT", {}, {}),
    ],
)
def test_build_options(structure: str, written: dict[str, str], expected: dict[str, Any]) -> None:
    found = registry.build_options(structure, written)
    assert {name: found[name] for name in expected} == expected
    kind = registry.vector_kind if registry.is_vector_kind(structure) else registry.scalar_kind
    assert set(found) == {option.name for option in kind(structure).options}


@pytest.mark.parametrize(
    ("name", "type_", "metric", "options"),
    [
        ("AUTOINDEX", VECTOR, Metric.L2, {"m": "32", "lists": "10"}),
        ("HNSW", named("HALFVEC", (8,)), Metric.COSINE, {"efconstruction": "100"}),
        ("SCANN", named("BFLOATVEC", (8,)), Metric.COSINE, {"lists": "100"}),
        ("IVF_FLAT", named("INT8VEC", (8,)), Metric.L2, {"lists": "100"}),
        ("AUTOINDEX", VECTOR, Metric.L1, {}),
        ("FLAT", BIT, Metric.HAMMING, {}),
        ("BTREE", TEXT, None, {}),
    ],
)
def test_accepted(
    name: str, type_: SqlType, metric: Metric | None, options: dict[str, str]
) -> None:
    registry.check(name, type_, metric, options)


@pytest.mark.parametrize(
    ("name", "type_", "metric", "options", "code", "words"),
    [
        ("HNSW", VECTOR, Metric.L2, {"m": "1"}, "22023", "2 to 512"),
        ("HNSW", VECTOR, Metric.L2, {"m": "many"}, "22023", "many"),
        ("HNSW", VECTOR, Metric.L2, {"nlst": "16"}, "22023", "no option"),
        ("HNSW", VECTOR, Metric.L2, {"nlist": "16"}, "22023", "nlist"),
        ("HNSW", VECTOR, Metric.L2, {"m": "16", "M": "8"}, "22023", "twice"),
        ("HNSW", VECTOR, Metric.L2, {"mmap": "maybe"}, "22023", "true, false"),
        ("HNSW_SQ", VECTOR, Metric.L2, {"sq_type": "SQ9"}, "22023", "SQ8, SQ6, FP16, BF16"),
        ("HNSW_SQ", VECTOR, Metric.L2, {"refine_type": "INT3"}, "22023", "FP32"),
        ("HNSW_PQ", VECTOR, Metric.L2, {"m": "3"}, "22023", "8 is no multiple of 3"),
        ("IVF_PQ", VECTOR, Metric.L2, {"m": "16"}, "22023", "8 is no multiple of 16"),
        ("IVF_PQ", VECTOR, Metric.L2, {"nbits": "17"}, "22023", "1 to 16"),
        ("DISKANN", VECTOR, Metric.L2, {"pq_code_budget_gb_ratio": "0.3"}, "22023", "0.25"),
        ("DISKANN", VECTOR, Metric.L2, {"pq_code_budget_gb_ratio": "nan"}, "22023", "0.25"),
        ("IVF_RABITQ", VECTOR, Metric.L1, {}, "42809", "FLAT"),
        ("FLAT", VECTOR, Metric.L2, {"m": "16"}, "22023", "no options"),
        ("BTREE", TEXT, None, {"fillfactor": "16"}, "22023", "no options"),
        ("HNSW", VECTOR, Metric.L1, {}, "42809", "FLAT"),
        ("SCANN", BIT, Metric.HAMMING, {}, "42809", "use BIN_IVF_FLAT, BIN_HNSW or FLAT"),
        ("BIN_FLAT", VECTOR, Metric.L2, {}, "42809", "FLAT"),
        ("BIN_IVF_FLAT", VECTOR, Metric.L2, {}, "42809", "FLAT"),
        ("BIN_HNSW", BIT, Metric.JACCARD, {}, "42809", "use BIN_IVF_FLAT, MINHASH_LSH or FLAT"),
        ("HNSW", VECTOR, Metric.HAMMING, {}, "42809", "BIT"),
        ("FLAT", BIT, Metric.L2, {}, "42809", "BIT"),
        ("HNSW", TEXT, None, {}, "42809", "BTREE"),
        ("BTREE", VECTOR, Metric.L2, {}, "42809", "AUTOINDEX"),
        ("BTREE", named("JSON"), None, {}, "42809", "JSON"),
        ("NOSUCH", TEXT, None, {}, "42704", "nosuch"),
    ],
)
def test_refused(
    name: str,
    type_: SqlType,
    metric: Metric | None,
    options: dict[str, str],
    code: str,
    words: str,
) -> None:
    with pytest.raises(ProgrammingError) as caught:
        registry.check(name, type_, metric, options)
    assert caught.value.sqlstate == code
    assert words in str(caught.value)


def test_third_parties(monkeypatch: pytest.MonkeyPatch) -> None:
    good = metadata.EntryPoint("mine", "vsql.index.bitmap:KIND", registry.SCALAR_GROUP)
    bad = metadata.EntryPoint("broken", "no.such.module:KIND", registry.VECTOR_GROUP)
    groups = {registry.SCALAR_GROUP: {"MINE": good}, registry.VECTOR_GROUP: {"BROKEN": bad}}
    monkeypatch.setattr(registry, "_plugins", groups.__getitem__)
    assert registry.structures("Mine") == ("MINE",)
    assert not registry.is_vector_kind("mine")
    assert registry.is_vector_kind("broken")
    assert registry.scalar_kind("mine").supports(TEXT)
    assert {"MINE", "BROKEN"} <= set(registry.names())
    with pytest.raises(ProgrammingError, match=r"no\.such\.module"):
        registry.vector_kind("broken")


def test_looking_at_kinds_loads_nothing_heavy() -> None:
    program = """
import sys
from vsql.core.distance import Metric
from vsql.core.types import named
from vsql.index import registry
registry.check("AUTOINDEX", named("VECTOR", (3,)), Metric.L2, {"m": "16"})
registry.check("BTREE", named("TEXT"), None, {})
print([name for name in ("faiss", "pyarrow.compute", "duckdb") if name in sys.modules])
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout == "[]\n"
