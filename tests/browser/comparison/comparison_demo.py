"""A page with nothing but the comparison, for the browser tests; `?state=`, `?top_k=` and `?query=` drive it.

`?other=` adds a second reranker, whose state it is.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import streamlit as st

from ingest.models.spec import ModelKind, ModelSource, ModelSpec, ResolvedModel
from ingest.records import Chunk
from rerank.records import Models, RankedHit, SearchResult, Timings
from retrieval.records import Candidate
from ui.comparison import comparison
from ui.presentation.columns import Look
from ui.presentation.view_model import comparison_payload

CANDIDATES = 60
# The reranked order: (chunk id, logit); chunk n stands at place n in the first look.
FIRST_AFTER = (37, 1, 4, 3, 2, 52, 5, 9, 12, 6)
OTHER_AFTER = (4, 37, 1, 2, 45, 3, 8, 5, 6, 7)

TITLES = (
    "Snakes of West Africa",
    "Venom and antivenom",
    "Constrictors",
    "Keeping reptiles",
    "Python in practice",
)
PROSE = (
    "Most snakes that people fear carry no venom at all. A constrictor seizes its prey, throws its coils around "
    "it and tightens them each time the animal breathes out. The heart stops within minutes because blood no "
    "longer reaches it; the old belief that the prey suffocates was disproved by measuring blood pressure. "
    "Large pythons and boas feed in this way a few times a year and rest between meals.",
    "Vipers strike and let go, then follow the scent of the animal that they have bitten. Their folding fangs are "
    "among the longest of all snakes.",
    "Antivenom is made by giving a horse small and rising doses of venom over months and purifying the antibodies "
    "from its blood. It must be kept cool, and it works against the species it was made for, and little else. "
    "Hospitals therefore ask what the snake looked like, although nobody should try to catch it.",
    "A young royal python is fed every seven to ten days with prey as thick as the thickest part of its body.",
)  # fmt: skip
HOSTILE = {
    2: (
        "<script>window.hacked = true</script>",
        "<img src=x onerror='window.hacked = true'> costs $x$ and :red[x] [a](b)",
    ),
    3: (
        "الأفاعي العاصرة",
        "الأفاعي العاصرة تقتل فريستها بالالتفاف حولها. ليس لها سم على الإطلاق، وهي تعيش في الغابات الحارة.",
    ),
}


def chunk(number: int) -> Chunk:
    """Chunk ``number`` of the demo's library."""
    title, text = HOSTILE.get(number, (TITLES[number % len(TITLES)], PROSE[number % len(PROSE)]))
    page = None if number % 5 == 1 else 1 + number % 9
    heading = ("Care", "Feeding") if page is None else ()
    return Chunk(
        id=number, document_id="0" * 12, title=title, path=f"animals/{number}.md", page=page, page_end=page,
        heading=heading, start=0, end=len(text), text=text,
    )  # fmt: skip


def model(name: str, kind: ModelKind, architecture: str) -> ResolvedModel:
    """A model that is only named."""
    spec = ModelSpec(name, kind, architecture, "0" * 40, "Apache-2.0", 256)
    return ResolvedModel(spec, ModelSource.BUNDLED, Path(sys.prefix))


def search_result(first: tuple[int, ...] = FIRST_AFTER) -> SearchResult:
    """Sixty candidates, reranked as ``first`` says; the others follow in the order of before."""
    before = tuple(Candidate(chunk(n), n, 0.83 - n / 150) for n in range(1, CANDIDATES + 1))
    order = [*first, *(n for n in range(1, CANDIDATES + 1) if n not in first)]
    after = tuple(
        RankedHit(before[n - 1], rank, 5.2 - rank / 2, max(0.97 - rank / 40, 0.0), 5.2 - rank / 2)
        for rank, n in enumerate(order, start=1)
    )
    models = Models(
        model("encoder", ModelKind.ENCODER, "bi-encoder"),
        model("reranker", ModelKind.RERANKER, "cross-encoder"),
    )
    return SearchResult("demo", before, after, Timings(14, 1, 1200), models, truncated=frozenset({4}))


def other_look(state: str) -> Look:
    """The second look of another reranker, in the state of that name."""
    result = search_result(OTHER_AFTER) if state == "done" else None
    return Look(result, state, name="late interaction", failure="It is not here." * (state == "failed"))  # type: ignore[arg-type]


def main() -> None:
    """The page."""
    st.set_page_config(page_title="Comparison", layout="wide")
    asked = st.query_params
    if st.button("Ask another"):
        st.session_state.query = "another question"
    query = st.session_state.get("query") or asked.get("query", "which snake kills without venom?")
    if "state" not in st.session_state:
        st.session_state.state = asked.get("state", "done")
    if st.button("Finish"):
        st.session_state.state = "done"
    top_k = st.segmented_control("Results", [5, 10, 20], default=int(asked.get("top_k", "10"))) or 10
    result = search_result()
    state = st.session_state.state
    marked = PROSE[0].split(". ")[1] + "."
    marks = {
        c.chunk.id: (c.chunk.text.index(marked), c.chunk.text.index(marked) + len(marked))
        for c in result.before
        if marked in c.chunk.text
    }
    given = {"done": result, "failed": replace(result, after=())}.get(state)
    payload = comparison_payload(
        query=query, before=result.before, result=given, top_k=top_k, state=state,
        progress=(24, CANDIDATES) if state == "scoring" else None, marks=marks, name="reranker",
        other=other_look(asked["other"]) if "other" in asked else None,
    )  # fmt: skip
    if st.checkbox("Shown", value=True):
        comparison(payload, key="comparison")


if __name__ == "__main__":
    main()
