"""Questions that have labels, asked again from the page."""

from __future__ import annotations

from typing import Any

from ingest.library.label_records import Grade
from ingest.library.labels import Labels
from tests.integration.ui.page.conftest import TEXTS, Screen
from ui.page.search.judged_questions import MOST_SHOWN

QUESTION = "which snake kills without venom?"


def buttons(screen: Screen) -> list[str]:
    return [b.key for b in screen.app.button if str(b.key).startswith("judged-")]


def open_list(screen: Screen) -> None:
    screen.app.session_state["judged-questions"] = True
    screen.app.run()
    assert not screen.app.exception, screen.app.exception


def test_a_question_with_labels_is_asked_again_from_wherever_one_is(screen: Screen, fill: Any) -> None:
    library = fill(TEXTS, screen.library, screen.encoder)
    for question in (QUESTION, "does a river flood the bank"):
        Labels(library).set(question, "a" * 64, Grade.RELEVANT)
    screen.open()
    open_list(screen)
    (first, _) = buttons(screen)
    screen.app.button(key=first).click().run()
    screen.settle()
    assert screen.payload()["query"] == "does a river flood the bank"
    assert screen.app.query_params["q"] == "does a river flood the bank"
    open_list(screen)
    screen.app.button(key="judged-1").click().run()
    screen.settle()
    assert screen.payload()["query"] == QUESTION
    assert screen.app.text_input(key="question").value == QUESTION


def test_many_questions_are_found_by_their_words(screen: Screen, fill: Any) -> None:
    library = fill(TEXTS, screen.library, screen.encoder)
    for number in range(MOST_SHOWN + 5):
        Labels(library).set(f"how long is snake number {number:02d}", "a" * 64, Grade.NOT)
    screen.open()
    open_list(screen)
    assert len(buttons(screen)) == MOST_SHOWN
    assert f"{MOST_SHOWN} of {MOST_SHOWN + 5} are listed" in screen.texts()
    screen.app.text_input(key="judged-filter").input("SNAKE 23").run()
    assert len(buttons(screen)) == 1
    screen.app.text_input(key="judged-filter").input("crane").run()
    assert buttons(screen) == []
    assert "No judged question has these words." in screen.texts()
