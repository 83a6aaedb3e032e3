"""Languages that the models do not know: warned of where it is sure, and only there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rerank.languages import LanguageWarnings, known_languages, language_of
from tests.conftest import Desk
from tests.fakes import WORD_SCORER

MULTILINGUAL = replace(WORD_SCORER, name="many", languages="over 100 languages")
GERMAN = (
    "Die Kreuzotter ist eine Giftschlange, die in Mitteleuropa in Mooren und Heiden lebt und sich von Mäusen ernährt. "
    "Ihr Biss ist schmerzhaft, doch für gesunde Erwachsene nur selten gefährlich."
)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("wann fährt die Fähre nicht?", "de"),
        ("Quel est le prix du billet pour les enfants ?", "fr"),
        ("какая змея убивает без яда?", "CYRILLIC"),
        ("毒のない蛇はどれ", "ja"),
        ("哪种蛇没有毒", "zh"),
        ("which snake kills without venom?", "en"),
    ],
)
def test_a_question_of_a_few_words_is_known_by_its_script_or_its_words(text: str, code: str) -> None:
    found = language_of(text)
    assert found is not None
    assert found.code == code


@pytest.mark.parametrize(
    "text",
    ["", "42", "Kündigungsfrist Wohnung", "interferon β", "Kubernetes RBAC YAML", "Is osteitis inherited ?"],
)
def test_what_is_not_sure_is_not_said(text: str) -> None:
    found = language_of(text)
    assert found is None or found.code == "en"


def test_a_models_words_say_what_it_knows() -> None:
    assert known_languages("English and Chinese") == {"en", "zh"}
    assert known_languages("over 100 languages") is known_languages("see the model's card") is None


def test_a_question_in_another_language_names_the_models_that_do_not_know_it(desk: Desk) -> None:
    desk.add(desk.write("a.txt", "The viper is a snake with venom that lives in the moors of the north."))
    english, chinese = WORD_SCORER, replace(WORD_SCORER, name="b/zh", languages="English and Chinese")
    warn = LanguageWarnings(desk.library, [english, MULTILINGUAL])
    (notice,) = warn.of("wann fährt die Fähre nicht?")
    assert notice.text.startswith("The question looks German, and word-scorer knows English only")
    assert warn.of("when does the ferry not sail?") == ()
    assert LanguageWarnings(desk.library, [MULTILINGUAL]).of("wann fährt die Fähre nicht?") == ()
    (notice,) = LanguageWarnings(desk.library, [english, chinese]).of("哪种蛇没有毒")
    assert "word-scorer knows English only" in notice.text


def test_documents_in_another_language_are_told_once_the_library_has_them(desk: Desk) -> None:
    desk.add(desk.write("a.txt", "The viper is a snake with venom that lives in the moors of the north."))
    warn = LanguageWarnings(desk.library, [WORD_SCORER])
    assert warn.of("where does the viper live?") == ()
    desk.add(desk.write("b.txt", GERMAN))
    (notice,) = warn.of("where does the viper live?")
    assert "of the passages look German, and word-scorer knows English only" in notice.text
