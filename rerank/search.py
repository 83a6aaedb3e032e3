"""The query path, the same for the page and the command line: retrieve → score → order."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ingest.costs import Bill, billing
from ingest.encoder import Encoder
from ingest.errors import EncoderMismatchError, ModelError, RerankError, UsageError
from ingest.hub import Hub
from ingest.library import Library
from ingest.models import ModelSource, ModelSpec, ResolvedModel, resolve_encoder
from ingest.onnx_encoder import open_encoder
from ingest.service_access import is_service, privacy_notice
from rerank.anytime import WHOLE, OnPartial, SecondLookPlan, score_in_slices
from rerank.fusion import Fusion
from rerank.languages import LanguageWarnings
from rerank.models import resolve_reranker
from rerank.records import FirstLook, Models, SearchResult, Timings
from rerank.score_cache import CachedScorer
from rerank.score_store import ScoreStore, user_store
from rerank.scorers import Scorer, ServiceAccess, open_scorer
from rerank.windows import windowed
from retrieval.records import CandidateSource
from retrieval.retriever import Retriever

log = logging.getLogger(__name__)

DEFAULT_CANDIDATES = 100
# A question longer than this is refused: it would leave no room for a passage beside it.
MAX_QUERY_CHARACTERS = 2000

# What the first look goes by, in prose.
FIRST_LOOKS = {
    CandidateSource.VECTORS: "vectors",
    CandidateSource.WORDS: "words, BM25",
    CandidateSource.BOTH: "vectors and words",
}

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
        ranking = [model.spec for model in (self.models.encoder, self.models.reranker) if model is not None]
        self._languages = LanguageWarnings(retriever.library, ranking)
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
        source: CandidateSource = CandidateSource.VECTORS,
    ) -> SearchResult:
        """Both looks at once. Raises `UsageError` for an empty or overlong query."""
        return self.second_look(self.first_look(query, candidates, source), on_progress, plan)

    def first_look(
        self,
        query: str,
        candidates: int = DEFAULT_CANDIDATES,
        source: CandidateSource = CandidateSource.VECTORS,
    ) -> FirstLook:
        """The ``candidates`` best passages by ``source``, some tens of milliseconds."""
        query = check_query(query)
        if candidates < 1:
            raise UsageError(f"At least 1 candidate is needed; {candidates} were asked for.")
        standing = self._standing(query)
        with billing() as bill:
            found = self._retriever.retrieve(query, candidates, source)
        timings = Timings(found.encode_ms, found.retrieve_ms)
        return FirstLook(
            query,
            found.candidates,
            timings,
            self.models,
            standing + found.notices + _billed(bill),
            standing,
            source,
        )

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
        some of the passages that nobody asked for would look like an answer. ``first`` may be another searcher's on
        the same library, so that two rerankers order the same candidates: the answer is then of this one's models.
        """
        first = self._taken_up(first)
        if self._second is None or self._spec is None or not first.before:
            return _not_reranked(first)
        if is_service(self._second.model):
            # Each request is billed and costs a round trip, so that all passages go in one.
            plan, on_partial = replace(WHOLE, fusion=plan.fusion), None
        counter = _counter(first, on_progress)
        with billing() as bill:
            try:
                look = _mixed_look(first, plan.fusion)
                result = score_in_slices(look, self._second, self._spec, plan, counter, on_partial)
            except (RerankError, ModelError, RuntimeError, ValueError, MemoryError) as error:
                log.warning("reranking failed", exc_info=error)
                result = _not_reranked(first, f"Not reranked: {error}. The first look's order stands.")
        return replace(result, notices=result.notices + _billed(bill))

    def _taken_up(self, first: FirstLook) -> FirstLook:
        """The first look as one of these models: what was said of another pair's is not repeated."""
        if first.models == self.models:
            return first
        others = tuple(notice for notice in first.notices if notice not in first.standing)
        standing = self._standing(first.query)
        return replace(first, models=self.models, notices=standing + others, standing=standing)

    def _standing(self, query: str) -> tuple[str, ...]:
        """What is to be said of these models with every answer, and of their languages with this one."""
        return self._notices + self._languages.of(query)


def _billed(bill: Bill) -> tuple[str, ...]:
    """What services counted for this step, as a sentence, where they counted anything."""
    return (str(bill),) if bill else ()


def _not_reranked(first: FirstLook, *notices: str) -> SearchResult:
    return SearchResult(
        first.query,
        first.before,
        (),
        first.timings,
        first.models,
        (*first.notices, *notices),
        source=first.source,
    )


def check_query(query: str) -> str:
    """The query without white space around it; control characters and lone surrogates are spaces.

    Raises `UsageError` where nothing is left, or too much.
    """
    unusable = ("Cc", "Cs")  # lone surrogates are bytes of a terminal that are no UTF-8
    cleaned = "".join(" " if unicodedata.category(sign) in unusable else sign for sign in query).strip()
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
        return resolve_encoder(choice.encoder, hub, choice.access)
    manifest = library.manifest()
    made_with = manifest.encoder
    try:
        model = resolve_encoder(choice.encoder or made_with, hub, choice.access)
    except ModelError as error:
        if choice.encoder is not None:
            raise
        raise EncoderMismatchError(
            f"The library {library.folder} was made with the encoder {made_with}, which cannot be had here: {error} "
            f"Or rebuild the library with the bundled encoder: secondlook rebuild --library {library.folder} "
            "--encoder bundled"
        ) from error
    library.require_encoder(model.spec)
    if model.spec.dim is None:  # a server need not be asked for what the library knows
        model = replace(model, spec=replace(model.spec, dim=manifest.dim))
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
        encoder = open_encoder(encoder_for(library, choice, hub), access=choice.access)
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
    notices = [notice for model in (encoder, reranker) if (notice := privacy_notice(model))]
    if reranker.source is ModelSource.BUNDLED and reranker.spec.architecture == "late-interaction":
        notices.append(
            "The second look is late interaction (MaxSim) over the bundled encoder's token vectors, for which that "
            "encoder was not trained: measure before you rely on it (docs/measured.md)."
        )
    if reranker.spec.bi_weight and reranker.spec.bi_encoder == encoder.name:
        notices.append(_mix_notice(encoder, reranker))
    if reranker.source is ModelSource.BUNDLED and reranker.spec.architecture == "onnx-cross-encoder":
        notices.append(
            "The bundled reranker is a small stand-in: it improves questions like those that it was trained on, and on "
            "others may do no better than the first look (docs/model-card.md). With a network, secondlook models "
            "prefetch brings the standard one."
        )
    return tuple(notices)


def _mix_notice(encoder: ResolvedModel, reranker: ResolvedModel) -> str:
    return (
        f"The order of {reranker.name} is a mix: its own logit plus {reranker.spec.bi_weight:.3g} times the "
        f"cosine of {encoder.name}."
    )


def _mixed_look(first: FirstLook, fusion: Fusion | None) -> FirstLook:
    """The first look with the notice of the mix that its second look will be: a fusion takes the logit alone."""
    reranker = first.models.reranker
    if fusion is None or reranker is None:
        return first
    shipped = _mix_notice(first.models.encoder, reranker)
    others = tuple(notice for notice in first.notices if notice != shipped)
    mix = (
        f"The second order is a mix: {fusion.title}, of the first look (by {FIRST_LOOKS[first.source]}) and the logit "
        f"of {reranker.name}. A fused score is not read as relevance."
    )
    return replace(first, notices=(mix, *others))


def _counter(first: FirstLook, on_progress: OnProgress | None) -> Callable[[int], None]:
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        if on_progress is not None:
            on_progress(done, len(first.before))

    return count
