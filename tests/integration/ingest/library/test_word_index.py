"""The index of words: what a question becomes, what it scores, and that it follows generations and deletions."""

from __future__ import annotations

import random
import shutil
import sqlite3
from math import log
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import LibraryDamagedError
from ingest.intake import Intake
from ingest.library.health.doctor import examine
from ingest.library.health.repair import repair
from ingest.library.health.view import Part
from ingest.library.library import Library
from ingest.library.writer import writing
from ingest.readers.source import Limits
from ingest.sources import Source
from retrieval.sparse import best_by_words, match_of
from tests.conftest import Desk


def found(library: Library, query: str) -> list[tuple[str, float]]:
    """(text, BM25) of what words find, best first."""
    with library.snapshot() as snapshot:
        best = best_by_words(snapshot, query, 100)
        chunks = snapshot.chunks([number for number, _ in best])
        return [(chunks[number].text, score) for number, score in best]


def texts(library: Library, query: str) -> list[str]:
    return [text for text, _ in found(library, query)]


def test_a_question_becomes_its_telling_words_in_quotes() -> None:
    assert match_of("What is the flow rate of pump P-17?") == '"flow" OR "rate" OR "pump" OR "p" OR "17"'
    assert match_of("to be or not to be") == '"to" OR "be" OR "or" OR "not"', "there is nothing else"
    assert match_of(" ?! … ") == ""
    assert match_of("机器学习 GPU") == '"机 器" OR "器 学" OR "学 习" OR "gpu"'


@given(st.text(max_size=60) | st.from_regex(r'[a-z"*^:()+\- ]{1,40}(NEAR|AND|NOT|OR)?', fullmatch=True))
def test_no_question_is_syntax(query: str) -> None:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE VIRTUAL TABLE words USING fts5 (passage, content = '')")
    expression = match_of(query)
    if expression:
        db.execute("SELECT rowid FROM words WHERE words MATCH ?", (expression,)).fetchall()
    db.close()


def test_scores_are_bm25_worked_out_by_hand(desk: Desk) -> None:
    # With their titles in front these passages are 3, 4 and 5 words long, 4 on average.
    desk.add(
        desk.write("a.txt", "crane bird"),
        desk.write("b.txt", "crane crane steel"),
        desk.write("c.txt", "one two three four"),
    )
    share = log((3 - 1 + 0.5) / (1 + 0.5))  # “bird” stands in one of three passages
    (only,) = found(desk.library, "which bird?")
    assert only == ("crane bird", pytest.approx(share * 1 * 2.2 / (1 + 1.2 * (1 - 0.75 + 0.75 * 3 / 4))))


def test_stems_accents_and_scripts_without_spaces_are_found(desk: Desk) -> None:
    desk.add(
        desk.write("a.txt", "Les résumés are filed."), desk.write("b.txt", "深度学习改变了机器翻译。"),
        desk.write("c.txt", "東京の桜は美しい"), desk.write("d.txt", "Ничего не найдено"),
    )  # fmt: skip
    assert texts(desk.library, "resume filing") == ["Les résumés are filed."]
    assert texts(desk.library, "re\u0301sume\u0301") == ["Les résumés are filed."], "decomposed accents"
    assert texts(desk.library, "机器学习") == ["深度学习改变了机器翻译。"]
    assert texts(desk.library, "译翻") == [], "the characters alone are not the word"
    assert texts(desk.library, "京の桜") == ["東京の桜は美しい"]
    assert texts(desk.library, "НИЧЕГО") == ["Ничего не найдено"]


def test_what_is_not_published_is_neither_found_nor_counted(desk: Desk) -> None:
    desk.add(
        desk.write("a.txt", "rare crane"), desk.write("b.txt", "steel crane"), desk.write("c.txt", "river")
    )
    before = found(desk.library, "rare crane")
    with writing(desk.library) as writer:
        intake = Intake(writer, desk.encoder, 9, lambda _: None, lambda: False, Limits())
        for number in range(9):
            intake.add(number + 1, desk_source(desk, f"new{number}.txt", f"rare crane {number}"))
        assert found(desk.library, "rare crane") == before
    assert found(desk.library, "rare crane") == before, "and nothing of it stays when it is given up"


def desk_source(desk: Desk, name: str, text: str) -> Source:
    return Source.of_path(desk.write(name, text))


def bytes_on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("library.sqlite*"))


def test_a_deleted_and_a_replaced_text_leave_no_word_behind(desk: Desk) -> None:
    desk.add(*(desk.write(f"{n}.txt", f"common words zyxquartz{n}") for n in range(30)))
    assert b"zyxquartz7" in bytes_on_disk(desk.library.folder)
    with writing(desk.library) as writer:
        writer.delete([desk.library.find("7").id])
    desk.add(desk.write("8.txt", "something else"))
    assert texts(desk.library, "zyxquartz7 zyxquartz8") == []
    raw = bytes_on_disk(desk.library.folder)
    # FTS5 keeps words by what they have in common, so the number that tells them apart stands behind its length.
    assert b"zyxquartz7" not in raw
    assert b"zyxquartz8" not in raw
    with desk.library.connection() as db:
        db.execute("CREATE VIRTUAL TABLE temp.terms USING fts5vocab ('main', 'words', 'row')")
        kept = {row[0] for row in db.execute("SELECT term FROM terms WHERE term LIKE 'zyxquartz%'")}
    assert kept == {f"zyxquartz{n}" for n in range(30) if n not in (7, 8)}
    assert examine(desk.library.folder) == []


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM words_docsize WHERE id = 2",
        "UPDATE words_data SET block = zeroblob(length(block)) WHERE id > 10",
        "UPDATE words_data SET block = CAST(replace(CAST(block AS TEXT), 'river', 'rivet') AS BLOB) WHERE id > 10",
    ],
)
def test_a_damaged_index_of_words_is_noticed_and_built_again(desk: Desk, damage: str) -> None:
    desk.add(*(desk.write(f"{n}.txt", f"crane number{n} by the river") for n in range(5)))
    whole = found(desk.library, "river number3")
    with sqlite3.connect(desk.library.folder / "library.sqlite") as db:
        db.execute(damage)
    db.close()
    assert [finding.part for finding in examine(desk.library.folder)] == [Part.WORDS]
    assert [str(message) for message in repair(desk.library.folder).done] == [
        "The index of words was built again from the passages."
    ]
    assert examine(desk.library.folder) == []
    assert found(desk.library, "river number3") == whole


def asked(folder: Path) -> list[object]:
    """What searches by words give, or the name of what they end with."""
    answers: list[object] = []
    with Library(folder).snapshot() as snapshot:
        for number in range(0, 900, 7):
            try:
                answers.append(best_by_words(snapshot, f"w{number:03} crane", 50))
            except LibraryDamagedError as error:
                answers.append(type(error))
    return answers


def test_whatever_changes_an_answer_by_words_is_noticed_and_mended(desk: Desk, tmp_path: Path) -> None:
    dice = random.Random(1)
    words = [f"w{number:03}" for number in range(900)]
    for part in range(3):
        desk.add(*(desk.write(f"{part}{n}.txt", " ".join(dice.choices(words, k=60))) for n in range(20)))
    whole, copy = asked(desk.library.folder), tmp_path / "copy"
    damages = [
        "DELETE FROM words_idx",
        "DELETE FROM words_idx WHERE pgno = (SELECT max(pgno) FROM words_idx)",
        "UPDATE words_idx SET pgno = pgno + 2 WHERE length(term) > 0",
        "UPDATE words_data SET block = x'0101' WHERE id = 1",
        "UPDATE words_docsize SET sz = x'7f' WHERE id % 3 = 0",
        "UPDATE words_config SET v = 5",
        "INSERT INTO words_config VALUES ('rank', 'bm25(0.0)')",
        "DELETE FROM words_data WHERE id = 10",
        "UPDATE words_data SET block = (SELECT max(block) FROM words_data) WHERE id = (SELECT max(id) FROM words_data)",
    ]
    with desk.library.connection() as db:
        blocks = db.execute("SELECT id, block FROM words_data ORDER BY id").fetchall()
    for _ in range(25):
        name, block = dice.choice(blocks)
        place, bit = dice.randrange(len(block)), 1 << dice.randrange(8)
        flipped = block[:place] + bytes([block[place] ^ bit]) + block[place + 1 :]
        damages.append(f"UPDATE words_data SET block = x'{flipped.hex()}' WHERE id = {name}")
    changed = 0
    for damage in damages:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(desk.library.folder, copy)
        with sqlite3.connect(copy / "library.sqlite") as db:
            db.execute(damage)
        db.close()
        if asked(copy) != whole:
            changed += 1
            assert [finding.part for finding in examine(copy)] == [Part.WORDS], damage
            repair(copy)
            assert examine(copy) == [], damage
            assert asked(copy) == whole, damage
    assert changed > 15, "the damages have to change answers, or nothing was tried"
