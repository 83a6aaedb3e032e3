"""What is taken along of a search that fuses rerankers: each reranker's own scores and order too."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.notices import Notice, NoticeKind
from rerank.ensemble import fuse
from rerank.labels.files import query_id
from rerank.records import FirstLook, Part, SearchResult
from retrieval.fusion import Fusion
from tests.parts.looks import candidates, search
from ui.command_line.main import main
from ui.files.results import to_csv, to_json, to_trec, zipped

NINE = candidates(9)
NAMES = {candidate.chunk.passage_hash: candidate.rank for candidate in NINE}


def fused(*parts: Part, fusion: str = "rrf") -> SearchResult:
    one = search(NINE, [7, 1, 3])
    return fuse(FirstLook(one.query, NINE, one.timings, one.models), parts, Fusion.of_ensemble(fusion))


def cut(result: SearchResult, scored: int) -> SearchResult:
    """As if only the first so many candidates had been scored."""
    hits = [hit for hit in result.after if hit.candidate.rank <= scored]
    return replace(result, after=tuple(replace(hit, rank=n) for n, hit in enumerate(hits, start=1)))


ONE, TWO = search(NINE, [7, 1, 3]), search(NINE, [3, 8, 7])


def order(run: str) -> list[int]:
    return [NAMES[line.split(" ")[2]] for line in run.splitlines()]


def test_each_reranker_has_a_run_under_its_name() -> None:
    result = fused(Part("cross-encoder/one L6", ONE), Part("two", TWO))
    files = to_trec(result)
    assert list(files) == ["before.run", "after.run", "cross-encoder-one-L6.run", "two.run"]
    assert order(files["before.run"]) == list(range(1, 10))
    assert order(files["after.run"]) == [hit.candidate.rank for hit in result.after]
    assert order(files["cross-encoder-one-L6.run"]) == [7, 1, 3, 2, 4, 5, 6, 8, 9]
    assert order(files["two.run"]) == [3, 8, 7, 1, 2, 4, 5, 6, 9]
    assert {line.split(" ")[-1] for line in files["cross-encoder-one-L6.run"].splitlines()} == {
        "cross-encoder-one-L6"
    }


def test_a_run_is_of_the_rerankers_own_logits_and_not_of_the_mix_it_is_shipped_with() -> None:
    own = {hit.candidate.rank: hit.logit for hit in ONE.after}
    mixed = replace(TWO, after=tuple(replace(hit, cross_logit=own[hit.candidate.rank]) for hit in TWO.after))
    assert order(to_trec(fused(Part("mix", mixed), Part("two", TWO)))["mix.run"])[:3] == [7, 1, 3]


def test_of_one_that_failed_there_is_no_run_and_of_one_that_read_more_all_of_it() -> None:
    short = cut(TWO, 4)
    files = to_trec(
        fused(
            Part("broken", None, Notice(NoticeKind.UNAVAILABLE, "It broke.")),
            Part("one", ONE),
            Part("short", short),
        )
    )
    assert list(files) == ["before.run", "after.run", "one.run", "short.run"]
    assert sorted(order(files["after.run"])) == [1, 2, 3, 4]
    assert order(files["one.run"]) == [7, 1, 3, 2, 4, 5, 6, 8, 9]
    assert order(files["short.run"]) == [3, 1, 2, 4]


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (("before", "After"), ["before-2.run", "After-2.run"]),
        (("org/One", "other\\one", "one"), ["org-One.run", "other-one.run", "one.run"]),
        (("one two", "One/Two", "one-two-2"), ["one-two.run", "One-Two-2.run", "one-two-2-2.run"]),
        (("../../up", "/etc/passwd", "\n\t"), ["up.run", "etc-passwd.run", "run.run"]),
    ],
)
def test_names_of_runs_are_safe_and_each_its_own(names: tuple[str, ...], wanted: list[str]) -> None:
    files = to_trec(fused(*(Part(name, ONE) for name in names)))
    assert list(files)[2:] == wanted
    with zipfile.ZipFile(io.BytesIO(zipped(files))) as packed:
        assert packed.namelist() == list(files)
    assert all(len(line.split()) == 6 for text in files.values() for line in text.splitlines())


def test_evaluate_reads_the_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The passage that one puts first is judged relevant: its reciprocal rank is 1, others' are by its place."""
    result = fused(Part("one", ONE), Part("two", TWO))
    for name, text in to_trec(result).items():
        (tmp_path / name).write_text(text)
    (tmp_path / "labels.qrels").write_text(f"{query_id(result.query)} 0 {NINE[6].chunk.passage_hash} 2\n")
    runs = [tmp_path / name for name in ("before.run", "after.run", "one.run", "two.run")]
    given = [word for run in runs for word in ("--run", str(run))]
    assert main(["evaluate", "--qrels", str(tmp_path / "labels.qrels"), *given, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    figures = {system["name"]: system["figures"]["MRR@10"] for system in report["systems"]}
    place = next(hit.rank for hit in result.after if hit.candidate.rank == 7)
    assert figures == pytest.approx(
        {"before.run": 1 / 7, "after.run": 1 / place, "one.run": 1.0, "two.run": 1 / 3}, abs=1e-4
    )


def test_csv_and_json_hold_what_a_reranker_gave_to_passages_that_are_not_fused() -> None:
    result = fused(Part("one", ONE), Part("short", cut(TWO, 4)))
    table = list(csv.reader(io.StringIO(to_csv(result), newline="")))
    assert {len(row) for row in table} == {len(table[0])}, "as many cells as columns"
    rows = {int(row["before_rank"]): row for row in csv.DictReader(io.StringIO(to_csv(result), newline=""))}
    own = {hit.candidate.rank: hit for hit in result.after}
    for rank, row in rows.items():
        alone = next(hit.logit for hit in ONE.after if hit.candidate.rank == rank)
        assert float(row["one logit"]) == alone
        assert (row["one rank"], row["short rank"]) == (
            tuple(str(given.rank) for given in own[rank].own) if rank in own else ("", "")
        )
        assert bool(row["short logit"]) == (rank <= 4)
    parts = {part["reranker"]: part for part in json.loads(to_json(result))["rerankers"]}
    assert [row["before_rank"] for row in parts["one"]["order"]] == [7, 1, 3, 2, 4, 5, 6, 8, 9]
    assert [row["rank"] for row in parts["short"]["order"]] == [1, 2, 3, 4]
    assert parts["one"]["order"][0]["logit"] == ONE.after[0].logit
