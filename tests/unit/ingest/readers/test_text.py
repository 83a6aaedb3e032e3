from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.readers.encodings import decode
from ingest.readers.registry import read_documents

# No first character that a mark or a guess could hang on; NUL and CR are changed on purpose.
anything = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r\ufeff"), max_size=200)
worded = st.text(
    st.characters(categories=["L", "N", "P", "S", "Zs"], exclude_characters="\ufeff"), min_size=1
)
SENTENCES = {
    "cp1252": "Le garçon a mangé une pomme près de l’école. Où êtes-vous allés à Noël ?",
    "latin-1": "A educação não é só informação; às vezes é também emoção, coração e ação.",
    "cp1250": "Příliš žluťoučký kůň úpěl ďábelské ódy. Dnes je velmi hezké počasí.",
    "iso8859-2": "Zażółć gęślą jaźń. Książka leży na stole, a źródło wody jest blisko łąki.",
    "cp1251": "Съешь ещё этих мягких французских булок, да выпей чаю.",
    "koi8-r": "Москва является столицей России. Сегодня очень хорошая погода.",
    "cp1253": "Η Αθήνα είναι η πρωτεύουσα της Ελλάδας. Σήμερα ο καιρός είναι καλός.",
    "cp1254": "Türkiye'nin başkenti Ankara'dır. Çocuklar bahçede oynuyor, güneş ışığı güzel.",
    "cp1255": "ירושלים היא עיר הבירה של ישראל. היום מזג האוויר יפה מאוד.",
    "gbk": "北京是中华人民共和国的首都,是全国的政治中心、文化中心。今天天气很好。",
    "big5": "臺北是臺灣的首都,今天天氣很好,我們去公園散步。",
    "shift_jis": "東京は日本の首都です。今日はとても良い天気なので、公園を散歩しました。",
    "euc_kr": "서울은 대한민국의 수도이다. 오늘은 날씨가 매우 좋아서 공원을 산책했다.",
}


@given(anything)
def test_utf8_gives_back_any_text(text):
    assert decode(text.encode()) == text


@given(anything, st.sampled_from(["utf-8-sig", "utf-16", "utf-32"]))
def test_a_byte_order_mark_gives_back_any_text(text, encoding):
    assert decode(text.encode(encoding)) == text


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=4), st.sampled_from(["le", "be"]))
def test_utf16_without_a_mark_is_seen(text, order):
    assert decode(text.encode(f"utf-16-{order}")) == text


@pytest.mark.parametrize("encoding", SENTENCES)
def test_national_encodings_are_detected_from_a_sentence_or_two(read_one, encoding):
    text = SENTENCES[encoding]
    assert read_one("a.txt", text.encode(encoding)).text == text
    assert read_one("b.txt", (text + "\n").encode(encoding) * 50).text == (text + "\n") * 50


@pytest.mark.parametrize("text", ["café crème", "schöne Grüße aus Köln", "à la carte"])
def test_a_few_western_words_are_enough(text):
    assert decode(text.encode("latin-1")) == text


def test_a_bad_byte_does_not_spoil_utf8():
    raw = "Der Kranich fliegt über die Bäume und grüßt schöne Mädchen höflich.".encode()
    assert decode(raw + b"\xff." + raw) == f"{raw.decode()}\ufffd.{raw.decode()}"


@given(text=worded)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_offsets_are_those_of_the_text_as_python_reads_it(tmp_path: Path, text: str):
    path = tmp_path / "a.txt"
    path.write_bytes(f"one{text}\r\ntwo\rthree\n".encode())
    (document,) = read_documents(path)
    assert document.text == path.read_text("utf-8")


def test_nul_becomes_the_replacement_character(read_one):
    assert read_one("a.txt", "Cranes\x00fly" + " far" * 50).text.startswith("Cranes\ufffdfly")


def test_the_end_mark_of_dos_does_not_make_a_text_binary(read_one):
    assert read_one("a.txt", "Cranes\x1a").text == "Cranes\x1a"


def test_right_to_left_and_emoji_stay_intact(read_one):
    text = "שלום עולם \u202eabc\u202c مرحبا 👩‍👩‍👧 🇩🇪 e\u0301\n"
    assert read_one("a.txt", text).text == text


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Cranes of the world\n\nThey fly.", "Cranes of the world"),
        ("Cranes fly south. They return.\n\nIn spring.", "notes"),
        ("Cranes fly\nsouth in autumn.", "notes"),
        ("=====\n\nWords", "notes"),
    ],
)
def test_the_title_is_a_first_line_that_stands_alone_else_the_name(read_one, text, title):
    assert read_one("folder-notes.txt".replace("folder-", ""), text).title == title
