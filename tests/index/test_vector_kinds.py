"""Every vector kind under every metric it supports, at odd sizes, against exact search."""

import time
from itertools import permutations
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from vsql.core.dense import stored
from vsql.core.distance import Metric
from vsql.core.errors import OperationalError
from vsql.core.protocols import Bits, Floats, Rows, Shape, VectorIndexKind, VectorSearcher
from vsql.core.types import DENSE, Family, named
from vsql.index import codes, faiss_calls, faiss_hnsw, faiss_lists, registry, row_lists
from vsql.index.calibrate import measure
from vsql.index.exact import ExactRanker, top_k

KINDS: tuple[VectorIndexKind, ...] = (
    faiss_hnsw.HNSW,
    faiss_hnsw.HNSW_SQ,
    faiss_hnsw.HNSW_PQ,
    faiss_hnsw.DISKANN,
    faiss_lists.SCANN,
    row_lists.IVF_FLAT,
    faiss_lists.IVF_SQ8,
    faiss_lists.IVF_PQ,
    faiss_lists.IVF_RABITQ,
)
METRICS = (Metric.COSINE, Metric.L2, Metric.INNER_PRODUCT)
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
metrics = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.value)


def clusters(rows: int, dimension: int, seed: int = 0) -> Floats:
    random = np.random.default_rng(seed)
    centres = random.standard_normal((12, dimension))
    members = centres[random.integers(0, 12, rows)]
    return (members + 0.4 * random.standard_normal((rows, dimension))).astype(np.float32)


def build(kind: VectorIndexKind, vectors: Floats, metric: Metric) -> VectorSearcher:
    options = {option.name: option.default for option in kind.options}
    return kind.build(vectors, metric, options, threads=1, progress=lambda _: None)


def as_queries(vectors: Floats, metric: Metric) -> Floats:
    if metric is not Metric.COSINE:
        return vectors
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.ascontiguousarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def packed(mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Bits:
    return np.packbits(mask, bitorder="little")


def recall(
    searcher: VectorSearcher,
    ranker: ExactRanker,
    queries: Floats,
    k: int,
    bitmap: Bits | None = None,
    rows: Rows | None = None,
) -> float:
    found = searcher.search(queries, searcher.candidates(k), searcher.efforts[-1], bitmap)
    exact = ranker.nearest(queries, k, rows)[0]
    hits = 0
    for number, query in enumerate(queries):
        candidates = found[number][found[number] >= 0]
        best = top_k(ranker.distances(query, candidates), candidates, k)[0]
        hits += len(np.intersect1d(best, exact[number]))
    return hits / (exact >= 0).sum()


@kinds
@metrics
@pytest.mark.parametrize("dimension", [2, 5, 31, 33, 64])
def test_recall_at_most_effort(kind: VectorIndexKind, metric: Metric, dimension: int) -> None:
    vectors = clusters(1_500, dimension)
    queries = as_queries(clusters(40, dimension, seed=1), metric)
    searcher = build(kind, vectors, metric)
    ranker = ExactRanker(metric, vectors)
    assert recall(searcher, ranker, queries, 10) >= 0.9
    if kind.shape is not Shape.GRAPH:
        rows = np.flatnonzero(np.random.default_rng(2).random(1_500) < 0.1)
        mask = np.zeros(1_500, dtype=bool)
        mask[rows] = True
        assert recall(searcher, ranker, queries, 10, packed(mask), rows) >= 0.9


@kinds
@metrics
@pytest.mark.parametrize("dimension", [1, 2, 3, 33, 128])
@pytest.mark.parametrize("rows", [0, 1, 2, 17, 100])
def test_small_segments(
    kind: VectorIndexKind,
    metric: Metric,
    rows: int,
    dimension: int,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    vectors = clusters(rows, dimension) if rows else np.empty((0, dimension), dtype=np.float32)
    queries = as_queries(clusters(3, dimension, seed=1), metric)
    built = build(kind, vectors, metric)
    built.save(tmp_path / "index")
    loaded = kind.load(tmp_path / "index")
    odd = np.arange(rows) % 2 == 1
    for searcher in (built, loaded):
        effort = searcher.efforts[-1]
        assert list(searcher.efforts) == sorted(set(searcher.efforts))
        for bitmap, allowed in ((None, set(range(rows))), (packed(odd), set(range(1, rows, 2)))):
            found = searcher.search(queries, rows + 5, effort, bitmap)
            assert found.shape == (3, rows + 5) or kind.name == "IVF_FLAT"
            assert found.dtype == np.int64
            for row in found:
                present = row[row >= 0].tolist()
                assert len(present) == len(set(present))
                assert set(present) <= allowed
                assert (row[len(present) :] == -1).all()
        assert searcher.search(queries[:0], 3, effort).shape[0] == 0
        assert searcher.search(queries, 0, effort).shape == (3, 0)
    assert capfd.readouterr() == ("", "")


@kinds
@metrics
@pytest.mark.parametrize("dimension", [24, 128])
def test_a_loaded_structure_answers_as_the_built_one(
    kind: VectorIndexKind, metric: Metric, dimension: int, tmp_path: Path
) -> None:
    vectors = clusters(700, dimension)
    queries = as_queries(clusters(20, dimension, seed=1), metric)
    built = build(kind, vectors, metric)
    built.save(tmp_path / "index")
    loaded = kind.load(tmp_path / "index")
    mask = np.random.default_rng(3).random(700) < 0.3
    for effort in built.efforts:
        for bitmap in (None, packed(mask)):
            expected = built.search(queries, 20, effort, bitmap)
            np.testing.assert_array_equal(loaded.search(queries, 20, effort, bitmap), expected)
            for number in range(3):
                alone = loaded.search(queries[number : number + 1], 20, effort, bitmap)[0]
                assert np.isin(alone, expected[number]).sum() >= min(18, len(alone))
    assert 0 < loaded.byte_size() <= 2 * (tmp_path / "index").stat().st_size


@kinds
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_bitmaps_are_respected(kind: VectorIndexKind, share: float) -> None:
    vectors = clusters(900, 16)
    searcher = build(kind, vectors, Metric.L2)
    mask = np.random.default_rng(4).random(900) < share
    for bitmap in (packed(mask), packed(mask[:500])):
        for effort in searcher.efforts:
            found = searcher.search(vectors[:10], 30, effort, bitmap)
            allowed = np.flatnonzero(mask[: 8 * len(bitmap)])
            assert np.isin(found[found >= 0], allowed).all()


@kinds
def test_a_changed_bitmap_is_seen(kind: VectorIndexKind) -> None:
    vectors = clusters(300, 8)
    searcher = build(kind, vectors, Metric.L2)
    bitmap = packed(np.arange(300) < 10)
    effort = searcher.efforts[-1]
    assert searcher.search(vectors[:1], 20, effort, bitmap).max() < 10
    bitmap[:] = packed(np.arange(300) >= 290)
    found = searcher.search(vectors[:1], 20, effort, bitmap)
    assert (found[found >= 0] >= 290).all()
    assert (found >= 0).any() or kind.shape is Shape.GRAPH


@pytest.mark.parametrize("dimension", [16, 32, 128])
def test_lists_find_every_match_of_a_correlated_filter(dimension: int) -> None:
    random = np.random.default_rng(5)
    vectors = clusters(3_000, dimension)
    searcher = faiss_lists.SCANN.build(
        vectors, Metric.L2, {"nlist": 60}, threads=1, progress=lambda _: None
    )
    near = np.argsort(((vectors - vectors[7]) ** 2).sum(axis=1))[:200]
    mask = np.zeros(3_000, dtype=bool)
    mask[near] = True
    bitmap = packed(mask)
    far = random.standard_normal((5, dimension)).astype(np.float32)
    for query in far:
        found = searcher.search(query[None], 200, searcher.efforts[-1], bitmap)[0]
        assert sorted(found.tolist()) == sorted(near.tolist())
        widened = searcher.search_dense(query, 200, 1, bitmap, 0.0)
        assert sorted(widened.tolist()) == sorted(near.tolist())
        few = searcher.search_dense(query, 200, 1, bitmap, 1e9)
        assert 3 <= (few >= 0).sum() <= 200
        assert set(few[few >= 0].tolist()) <= set(near.tolist())
    nothing = np.zeros_like(bitmap)
    assert (searcher.search_dense(far[0], 10, 60, nothing, 1.25) == -1).all()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux says what is mapped")
@pytest.mark.parametrize("mapped", [True, False])
@kinds
def test_mapped_or_read(kind: VectorIndexKind, mapped: bool, tmp_path: Path) -> None:
    path = tmp_path / "index"
    build(kind, clusters(500, 40), Metric.L2).save(path)
    options = {"mmap": str(mapped)}
    opened = kind.load(path, **registry.load_arguments(kind.name, options))
    assert opened.byte_size() > 0
    is_mapped = str(path) in Path("/proc/self/maps").read_text()
    # faiss cannot map the blocks of SCANN's codes.
    assert is_mapped == mapped or kind.name == "SCANN"


@pytest.mark.parametrize("kind", [faiss_lists.IVF_PQ, faiss_hnsw.HNSW_PQ], ids=lambda k: k.name)
def test_product_codes_learn_from_rows_for_every_centre(
    kind: VectorIndexKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample, drawn = codes.sample, [0]

    def counted(*arguments: Any) -> Floats:
        found = sample(*arguments)
        drawn.append(len(found))
        return found

    monkeypatch.setattr(codes, "sample", counted)
    options = {option.name: option.default for option in kind.options} | {"nbits": 8}
    vectors = clusters(10_000, 4)
    kind.build(vectors, Metric.L2, options, threads=1, progress=lambda _: None)
    assert drawn[-1] == codes.product_training_rows(8) == 8_192


def test_what_costs_more_than_exact_search_is_not_measured() -> None:
    vectors = clusters(20_000, 4)
    kind = row_lists.IVF_FLAT
    curve, exact = measure(build(kind, vectors, Metric.L2), vectors, Metric.L2, shape=Shape.LISTS)
    for depth in {point.depth for point in curve}:
        costs = [point.nanoseconds for point in curve if point.depth == depth]
        assert all(cost <= exact * 20_000 for cost in costs[:-1])


def test_rows_beyond_the_segment_are_damage(tmp_path: Path) -> None:
    import pyarrow as pa

    path = tmp_path / "index"
    build(row_lists.IVF_FLAT, clusters(100, 4), Metric.L2).save(path)
    batch = pa.ipc.open_file(path.read_bytes()).get_batch(0)
    for name, beyond in (("rows", [*range(99), 100]), ("starts", list(range(14)))):
        type_ = batch.schema.field(name).type
        column = pa.array([beyond], type_)
        wrong = batch.set_column(batch.schema.names.index(name), name, column)
        with pa.ipc.new_file(path, wrong.schema) as writer:
            writer.write_batch(wrong)
        with pytest.raises(ValueError, match="contradicts"):
            row_lists.IVF_FLAT.load(path)


@kinds
def test_the_most_dimensions(kind: VectorIndexKind, tmp_path: Path) -> None:
    vectors = np.random.default_rng(6).standard_normal((20, 32_768)).astype(np.float32)
    searcher = build(kind, vectors, Metric.COSINE)
    searcher.save(tmp_path / "index")
    queries = as_queries(vectors[:3], Metric.COSINE)
    for opened in (searcher, kind.load(tmp_path / "index")):
        found = opened.search(queries, 5, opened.efforts[-1])
        assert found[:, 0].tolist() == [0, 1, 2] or kind.name == "IVF_FLAT"
        assert all(number in row for number, row in enumerate(found))


@settings(max_examples=150, deadline=None)
@given(
    kind=some.sampled_from(KINDS),
    metric=some.sampled_from(METRICS),
    rows=some.integers(0, 60),
    dimension=some.sampled_from([1, 2, 7, 32, 36]),
    distinct=some.integers(1, 60),
    zeros=some.booleans(),
    family=some.sampled_from(DENSE),
    kept=some.floats(0, 1),
    seed=some.integers(0, 100),
)
def test_full_effort_finds_whatever_is_kept(
    kind: VectorIndexKind,
    metric: Metric,
    rows: int,
    dimension: int,
    distinct: int,
    zeros: bool,
    family: Family,
    kept: float,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    vectors = clusters(distinct, dimension, seed)[random.integers(0, distinct, rows)]
    if zeros:
        vectors[::3] = 0
    vectors = stored(np.rint(20 * vectors) if family is Family.INT8VEC else vectors, family)
    options = {option.name: option.default for option in kind.options}
    searcher = kind.build(vectors, metric, options, threads=1, progress=lambda _: None)
    mask = random.random(rows) < kept
    query = as_queries(clusters(1, dimension, seed + 1), metric)
    for bitmap, allowed in ((None, range(rows)), (packed(mask), np.flatnonzero(mask))):
        found = searcher.search(query, rows + 1, searcher.efforts[-1], bitmap)[0]
        found = found[found >= 0]
        assert len(set(found.tolist())) == len(found)
        assert set(found.tolist()) <= set(allowed)
        if kind.shape is not Shape.GRAPH:
            assert len(found) == len(allowed)


@kinds
def test_zero_vectors_keep_their_row_numbers(kind: VectorIndexKind) -> None:
    vectors = clusters(200, 8)
    vectors[::3] = 0
    searcher = build(kind, vectors, Metric.COSINE)
    queries = as_queries(vectors[1:2], Metric.COSINE)
    assert 1 in searcher.search(queries, 10, searcher.efforts[-1])[0]


@kinds
def test_vectors_are_left_as_they_were(kind: VectorIndexKind) -> None:
    vectors = clusters(100, 8)
    before = vectors.copy()
    build(kind, vectors, Metric.COSINE)
    np.testing.assert_array_equal(vectors, before)


@kinds
def test_progress_and_interrupt(kind: VectorIndexKind) -> None:
    vectors = clusters(40_000, 2)
    fewest = {"m": 2, "M": 2, "max_degree": 4, "ef_construction": 8, "search_list_size": 8}
    options = {option.name: option.default for option in kind.options} | fewest
    steps: list[float] = []
    kind.build(vectors, Metric.L2, options, threads=2, progress=steps.append)
    assert len(steps) >= 3
    assert steps == sorted(steps)
    assert steps[-1] == 1.0

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kind.build(vectors, Metric.L2, options, threads=2, progress=interrupt)


@kinds
def test_searches_from_several_threads(kind: VectorIndexKind) -> None:
    vectors = clusters(600, 16)
    searcher = build(kind, vectors, Metric.L2)
    bitmaps = (None, packed(np.arange(600) % 2 == 0), packed(np.arange(600) % 2 == 1))
    effort = searcher.efforts[-1]
    expected = [searcher.search(vectors[:1], 15, effort, bitmap) for bitmap in bitmaps]
    wrong: list[int] = []

    def work(shift: int) -> None:
        for turn in range(200):
            which = (turn + shift) % 3
            found = searcher.search(vectors[:1], 15, effort, bitmaps[which])
            if not np.array_equal(found, expected[which]):
                wrong.append(which)

    threads = [Thread(target=work, args=(shift,)) for shift in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@kinds
@pytest.mark.parametrize("content", [b"", b"IxF2 and then nothing", b"x" * 500, None])
def test_unusable_files(kind: VectorIndexKind, content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "index"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises((OSError, ValueError)):
        kind.load(path)


def test_a_file_of_the_other_kind_is_unusable(tmp_path: Path) -> None:
    for kind in KINDS:
        build(kind, clusters(100, 40), Metric.L2).save(tmp_path / kind.name)
    for kind, other in permutations(KINDS, 2):
        if kind.shape is other.shape is Shape.GRAPH:
            continue
        with pytest.raises(ValueError, match=r"does not hold|unusable"):
            other.load(tmp_path / kind.name)


@kinds
def test_truncated_files_are_unusable(kind: VectorIndexKind, tmp_path: Path) -> None:
    path = tmp_path / "index"
    build(kind, clusters(300, 8), Metric.L2).save(path)
    whole = path.read_bytes()
    end = len(whole) - len(faiss_calls.END) if b"vsql: index" in whole[-20:] else len(whole)
    for length in (*range(0, end, end // 12), *range(end - 12, end)):
        path.write_bytes(whole[:length])
        with pytest.raises((OSError, ValueError)):
            kind.load(path)


@kinds
def test_saving_where_nothing_can_be_written(kind: VectorIndexKind, tmp_path: Path) -> None:
    with pytest.raises(OperationalError):
        build(kind, clusters(20, 4), Metric.L2).save(tmp_path / "no" / "index")


@kinds
def test_support(kind: VectorIndexKind) -> None:
    for metric in Metric:
        for name in ("VECTOR", "HALFVEC", "BFLOATVEC", "INT8VEC"):
            assert kind.supports(named(name, (8,)), metric) == (metric in METRICS)
        assert not kind.supports(named("BIT", (8,)), metric)


@kinds
@metrics
@pytest.mark.parametrize("dimension", [12, 40])
@pytest.mark.parametrize("rows", [0, 1, 5, 150, 2_000])
def test_calibration(kind: VectorIndexKind, metric: Metric, rows: int, dimension: int) -> None:
    vectors = clusters(rows, dimension) if rows else np.empty((0, dimension), dtype=np.float32)
    searcher = build(kind, vectors, metric)
    curve, exact = measure(searcher, vectors, metric, shape=kind.shape, seed=3)
    assert (exact > 0) == bool(curve) == bool(rows)
    assert {point.depth for point in curve} == {min(d, rows) for d in (10, 100, 1000) if rows}
    for point in curve:
        assert point.effort in searcher.efforts
        assert 0 <= point.recall <= 1
        assert point.nanoseconds > 0
    for depth in {point.depth for point in curve if point.depth <= 150}:
        recalls = [point.recall for point in curve if point.depth == depth]
        assert recalls[-1] >= 0.85
    again, _ = measure(searcher, vectors, metric, shape=kind.shape, seed=3)
    assert [(p.effort, p.depth, p.recall) for p in again] == [
        (p.effort, p.depth, p.recall) for p in curve
    ]


def test_calibration_passes_over_null_rows() -> None:
    vectors = clusters(400, 8)
    vectors[::2] = 0
    searcher = build(faiss_lists.SCANN, vectors, Metric.COSINE)
    curve, _ = measure(
        searcher,
        vectors.astype(np.float16),
        Metric.COSINE,
        shape=Shape.LISTS,
        valid_rows=np.arange(1, 400, 2),
    )
    assert {point.depth for point in curve} == {10, 100, 200}
    assert curve[-1].recall >= 0.9


def test_calibration_asks_lists_of_rows_for_one_query_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vectors = clusters(400, 8)
    searcher = build(row_lists.IVF_FLAT, vectors, Metric.L2)
    answered: list[int] = []
    search = row_lists.RowLists.search

    def counted(*arguments: Any) -> Rows:
        found = search(*arguments)
        answered.append(found.size)
        return found

    monkeypatch.setattr(row_lists.RowLists, "search", counted)
    measure(searcher, vectors, Metric.L2, shape=Shape.ROWS)
    assert 0 < max(answered) <= len(vectors)


def test_waiting_for_others_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = clusters(40, 8)
    searcher = build(faiss_lists.SCANN, vectors, Metric.L2)
    search = faiss_lists.Lists.search
    waits = 0.002

    def late(*arguments: Any) -> Rows:
        time.sleep(waits)
        return search(*arguments)

    monkeypatch.setattr(faiss_lists.Lists, "search", late)
    curve, _ = measure(searcher, vectors, Metric.L2, shape=Shape.LISTS)
    assert max(point.nanoseconds for point in curve) < waits * 1e9


@pytest.mark.parametrize("kind", [faiss_lists.SCANN, faiss_hnsw.HNSW], ids=lambda kind: kind.name)
def test_a_curve_promises_what_held_out_queries_get(kind: VectorIndexKind) -> None:
    """Tight clusters of few intrinsic dimensions: short codes hardly tell their rows apart."""
    random = np.random.default_rng(1)
    rows, queries, intrinsic, dimension = 6_000, 200, 12, 128
    centres = 1.5 * random.standard_normal((12, intrinsic))
    members = centres[random.integers(0, 12, rows + queries)]
    points = members + 0.6 * random.standard_normal(members.shape)
    turned = random.standard_normal((intrinsic, dimension)) / np.sqrt(intrinsic)
    noise = 0.05 * random.standard_normal((rows + queries, dimension))
    everything = as_queries((points @ turned + noise).astype(np.float32), Metric.COSINE)
    vectors, held_out = everything[:rows], everything[rows:]
    searcher = build(kind, vectors, Metric.COSINE)
    curve, _ = measure(searcher, vectors, Metric.COSINE, shape=kind.shape)
    nearest = np.argsort(-(held_out @ vectors.T), axis=1)
    for point in (point for point in curve if point.depth <= 100):
        found = searcher.search(held_out, searcher.candidates(point.depth), point.effort)
        wanted = nearest[:, : point.depth]
        hits = sum(len(np.intersect1d(*pair)) for pair in zip(found, wanted, strict=True))
        assert point.recall <= hits / wanted.size + 0.03, point
