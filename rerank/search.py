"""The query path, the same for the page and the command line: retrieve → score → order."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ingest.encoder import Encoder
from ingest.errors import EncoderMismatchError, ModelError, RerankError, UsageError
from ingest.hub import Hub
from ingest.library import Library
from ingest.models import ModelSource, ModelSpec, ResolvedModel, resolve_encoder
from ingest.onnx_encoder import open_encoder
from rerank.anytime import WHOLE, OnPartial, SecondLookPlan, score_in_slices
from rerank.models import resolve_reranker
from rerank.records import FirstLook, Models, SearchResult, Timings
from rerank.score_cache import CachedScorer
from rerank.score_store import ScoreStore, user_store
from rerank.scorers import Scorer, ServiceAccess, open_scorer
from rerank.scorers.served import is_service, privacy_notice
from rerank.windows import windowed
from retrieval.retriever import Retriever

log = logging.getLogger(__name__)

DEFAULT_CANDIDATES = 100
# A question longer than this is refused: it would leave no room for a passage beside it.
MAX_QUERY_CHARACTERS = 2000

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """What was asked for: names, aliases or folders; ``None`` is the default pair. Downloads as allowed.

    ``engine`` is what runs the reranker, one of `rerank.scorers.engine.ENGINES`; without ``wait_for_engine`` a
    model that can run as it is does so until its engine is chosen. ``access`` holds addresses of rerankers outside this
    process, and the keys to them.
    """

    encoder: str | None = None
    reranker: str | None = None
    allow_downloads: bool = True
    engine: str = "auto"
    wait_for_engine: bool = True
    access: ServiceAccess = field(default_factory=ServiceAccess)


class Searcher:
    """Answers queries on one library with one pair of models. Safe to share between threads."""

    def __init__(
        self,
        retriever: Retriever,
        scorer: Scorer | None,
        notices: tuple[str, ...] = (),
        store: ScoreStore | None = None,
    ) -> None:
        """``scorer`` is ``None`` where no reranker could be loaded; ``notices`` come with every answer.

        Scores are looked up in ``store`` and kept there; without one, every second look runs the model.
        """
        self._retriever = retriever
        self._scorer = scorer
        self._second = CachedScorer(scorer, store) if scorer and store else scorer
        self._notices = notices
        self.models = Models(retriever.encoder.model, scorer.model if scorer else None)
        self._spec = scorer.model.spec if scorer else None
        if self._spec is not None and not self._mixes():
            # The weight was fitted to one encoder's cosines; another's spread differently.
            self._spec = replace(self._spec, bi_weight=0.0)

    def _mixes(self) -> bool:
        reranker = self.models.reranker
        return reranker is not None and reranker.spec.bi_encoder == self.models.encoder.name

    @property
    def scorer(self) -> Scorer | None:
        """The reranker, for those who need raw scores (an evaluation keeps them); ``None`` where none loaded.

        It runs the model whatever the store of scores holds, so that it may be timed.
        """
        return self._scorer

    @property
    def spec(self) -> ModelSpec | None:
        """How the reranker's scores make the order here: its own spec, without the mix for another encoder."""
        return self._spec

    @property
    def encoder(self) -> Encoder:
        """The bi-encoder, for those who add documents or mark sentences with it."""
        return self._retriever.encoder

    def search(
        self,
        query: str,
        candidates: int = DEFAULT_CANDIDATES,
        on_progress: OnProgress | None = None,
        plan: SecondLookPlan = WHOLE,
    ) -> SearchResult:
        """Both looks at once. Raises `UsageError` for an empty or overlong query."""
        return self.second_look(self.first_look(query, candidates), on_progress, plan)

    def first_look(self, query: str, candidates: int = DEFAULT_CANDIDATES) -> FirstLook:
        """The bi-encoder's ``candidates`` best passages, some tens of milliseconds."""
        query = check_query(query)
        if candidates < 1:
            raise UsageError(f"At least 1 candidate is needed; {candidates} were asked for.")
        found = self._retriever.retrieve(query, candidates)
        timings = Timings(found.encode_ms, found.retrieve_ms)
        return FirstLook(query, found.candidates, timings, self.models, self._notices + found.notices)

    def second_look(
        self,
        first: FirstLook,
        on_progress: OnProgress | None = None,
        plan: SecondLookPlan = WHOLE,
        on_partial: OnPartial | None = None,
    ) -> SearchResult:
        """Score the candidates of the first look and order them, as far as ``plan`` lets it go.

        ``on_progress`` hears how many of how many passages are scored, and ``on_partial`` the order so far while
        the work goes on. A failure, in whichever slice, leaves the first order with a notice: an order of
        some of the passages that nobody asked for would look like an answer.
        """
        if self._second is None or self._spec is None or not first.before:
            return _not_reranked(first)
        if is_service(self._second.model):
            # Each request is billed and costs a round trip, so that all passages go in one.
            plan, on_partial = WHOLE, None
        counter = _counter(first, on_progress)
        try:
            return score_in_slices(first, self._second, self._spec, plan, counter, on_partial)
        except (RerankError, ModelError, RuntimeError, ValueError, MemoryError) as error:
            log.warning("reranking failed", exc_info=error)
            return _not_reranked(first, f"Not reranked: {error}. The bi-encoder's order stands.")


def _not_reranked(first: FirstLook, *notices: str) -> SearchResult:
    return SearchResult(
        first.query, first.before, (), first.timings, first.models, (*first.notices, *notices)
    )


def check_query(query: str) -> str:
    """The query without white space around it or control characters in it. Raises `UsageError`."""
    cleaned = "".join(" " if ord(character) < 32 else character for character in query).strip()
    if not cleaned:
        raise UsageError("The question is empty. Type a few words.")
    if len(cleaned) > MAX_QUERY_CHARACTERS:
        raise UsageError(
            f"The question has {len(cleaned):,} characters; {MAX_QUERY_CHARACTERS:,} are the most. Ask it shorter."
        )
    return cleaned


def encoder_for(library: Library | None, choice: ModelChoice, hub: Hub) -> ResolvedModel:
    """The encoder to use: the one asked for, else the one that made the library, else the default.

    Raises `EncoderMismatchError` where the one asked for did not make the library, or where the one that
    made it cannot be had on this machine.
    """
    if library is None:
        return resolve_encoder(choice.encoder, hub)
    made_with = library.manifest().encoder
    try:
        model = resolve_encoder(choice.encoder or made_with, hub)
    except ModelError as error:
        if choice.encoder is not None:
            raise
        raise EncoderMismatchError(
            f"The library {library.folder} was made with the encoder {made_with}, which cannot be had here: {error} "
            f"Or rebuild the library with the bundled encoder: secondlook rebuild --library {library.folder} "
            "--encoder bundled"
        ) from error
    library.require_encoder(model.spec)
    return model


def open_searcher(
    library: Library, choice: ModelChoice, encoder: Encoder | None = None, keep_scores: bool = True
) -> Searcher:
    """Load both models and open the library. A reranker that cannot be loaded costs only the second look.

    ``encoder`` saves loading one that is loaded already. Without ``keep_scores``, none are kept or used from earlier
    searches, as a measurement wants it. Raises `EncoderMismatchError`, `ModelError`.
    """
    hub = Hub(choice.allow_downloads)
    if encoder is None:
        encoder = open_encoder(encoder_for(library, choice, hub))
    retriever = Retriever(library, encoder)
    try:
        model = resolve_reranker(choice.reranker, hub, choice.access)
        scorer = windowed(open_scorer(model, choice.engine, choice.wait_for_engine, choice.access))
    except ModelError as error:
        if choice.reranker is not None:
            raise
        return Searcher(retriever, None, (f"No reranker could be loaded: {error}",))
    store = user_store() if keep_scores else None
    return Searcher(retriever, scorer, _fallback_notices(encoder.model, scorer.model), store)


def _fallback_notices(encoder: ResolvedModel, reranker: ResolvedModel) -> tuple[str, ...]:
    notices = [notice] if (notice := privacy_notice(reranker)) else []
    if reranker.source is ModelSource.BUNDLED and reranker.spec.architecture == "late-interaction":
        notices.append(
            "The second look is late interaction (MaxSim) over the bundled encoder's token vectors, for which that "
            "encoder was not trained: measure before you rely on it (docs/measured.md)."
        )
    if reranker.spec.bi_weight and reranker.spec.bi_encoder == encoder.name:
        notices.append(
            f"The order of {reranker.name} is a mix: its own logit plus {reranker.spec.bi_weight:.3g} times the "
            f"cosine of {encoder.name}."
        )
    if reranker.source is ModelSource.BUNDLED and reranker.spec.architecture == "onnx-cross-encoder":
        notices.append(
            "The bundled reranker is a small stand-in: it improves questions like those that it was trained on, and on "
            "others may do no better than the first look (docs/model-card.md). With a network, secondlook models "
            "prefetch brings the standard one."
        )
    return tuple(notices)


def _counter(first: FirstLook, on_progress: OnProgress | None) -> Callable[[int], None]:
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        if on_progress is not None:
            on_progress(done, len(first.before))

    return count
