"""From what was asked for to a `Searcher`: which models, loaded, on which library."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ingest.encoders.base import Encoder
from ingest.encoders.onnx import open_encoder
from ingest.errors import EncoderMismatchError, ModelError, TrustNeededError
from ingest.library.library import Library
from ingest.library.token_vectors import TokenStore
from ingest.library.trust import encoder_asked_for, encoder_of_library
from ingest.models.consent import require_consent
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from ingest.models.spec import ResolvedModel
from ingest.notices import Help, Notice, Remedy
from ingest.runtime.memory import give_back
from ingest.services.access import ServiceAccess
from rerank.notices import model_notices, unavailable, window_notices
from rerank.registry import reranker_module, resolve_reranker
from rerank.scorers.base import Options, Scorer
from rerank.scorers.score_store import user_store
from rerank.scorers.windowed import windowed
from rerank.search import Searcher
from retrieval.retriever import Retriever

NO_RERANKER = "No reranker could be loaded: "


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """What was asked for: names, aliases or folders; ``None`` is the default pair. Downloads as allowed.

    ``engine`` is what runs the reranker, one of `rerank.engines.choose.ENGINES`; without ``wait_for_engine`` a
    model that can run as it is does so until its engine is chosen. ``window`` is how many tokens of a passage the
    reranker reads at most (see `rerank.scorers.windowed.windowed`). ``access`` holds addresses of rerankers outside
    this process, and the keys to them. ``trusting`` is the leave to load the encoder that a library names, whatever
    it is.
    """

    encoder: str | None = None
    reranker: str | None = None
    allow_downloads: bool = True
    engine: str = "auto"
    wait_for_engine: bool = True
    window: int | None = None
    access: ServiceAccess = field(default_factory=ServiceAccess)
    trusting: bool = False


def encoder_for(library: Library | None, choice: ModelChoice, hub: Hub) -> ResolvedModel:
    """The encoder to use: the one asked for, else the one that made the library, else the default.

    Raises `EncoderMismatchError` where the one asked for did not make the library, or where the one that
    made it cannot be had on this machine; else as `encoder_of_library`.
    """
    if library is None:
        if choice.encoder is None:
            return resolve_encoder(None, hub, choice.access)
        return encoder_asked_for(choice.encoder, hub, choice.access)
    manifest = library.manifest()
    made_with = manifest.encoder
    try:
        model = encoder_of_library(library, choice.encoder, hub, choice.access, choice.trusting)
    except ModelError as error:
        if choice.encoder is not None or isinstance(error, TrustNeededError):
            raise
        raise EncoderMismatchError(
            f"The library {library.folder} was made with the encoder {made_with}, which cannot be had here: {error} "
            "Or have the bundled encoder rebuild the library.",
            Help(Remedy.REBUILD, library.folder, "bundled", also=error.help),
        ) from error
    library.require_encoder(model.spec)
    if model.spec.dim is None:  # a server need not be asked for what the library knows
        model = replace(model, spec=replace(model.spec, dim=manifest.dim))
    return model


@dataclass(frozen=True, slots=True)
class ResolvedModels:
    """Which models answer on a library, found and allowed, but not loaded: ``choice`` is what was asked for.

    ``reranker`` is ``None`` where the default one cannot be had. ``notices`` are what is said of them with every
    answer. ``loaded`` is the encoder where it is loaded already.
    """

    choice: ModelChoice
    encoder: ResolvedModel
    reranker: ResolvedModel | None
    notices: tuple[Notice, ...] = ()
    loaded: Encoder | None = None


def resolve_models(
    choice: ModelChoice,
    library: Library,
    encoder: Encoder | None = None,
    reranker: ResolvedModel | None = None,
) -> ResolvedModels:
    """Find the models of ``choice`` for ``library``, and ask for all that has to be asked: once, and before loading.

    ``encoder`` is one that is loaded already, ``reranker`` one that is found already, by what ``choice`` names. Raises
    `EncoderMismatchError`, `ModelError` for a model that was named
    and cannot be had, and `ConsentNeededError` where text would leave this machine without anybody's leave.
    """
    hub = Hub(choice.allow_downloads)
    model = encoder.model if encoder is not None else encoder_for(library, choice, hub)
    require_consent(model, choice.access)
    try:
        reranker = reranker or resolve_reranker(choice.reranker, hub, choice.access)
        require_consent(reranker, choice.access)
    except ModelError as error:
        if choice.reranker is not None:
            raise
        return ResolvedModels(choice, model, None, (unavailable(error, NO_RERANKER),), encoder)
    return ResolvedModels(choice, model, reranker, model_notices(model, reranker), encoder)


def open_searcher(library: Library, models: ResolvedModels, *, keep_scores: bool = True) -> Searcher:
    """Load the models and open the library. A default reranker that cannot be loaded costs only the second look.

    Without ``keep_scores``, none are kept or used from earlier searches, as a measurement wants it. Raises
    `EncoderMismatchError`, `ModelError`.
    """
    choice = models.choice
    encoder = models.loaded or open_encoder(models.encoder, access=choice.access)
    retriever = Retriever(library, encoder)
    if models.reranker is None:
        return Searcher(retriever, None, models.notices)
    try:
        tokens = TokenStore(library)
        scorer = open_scorer(models.reranker, choice.engine, choice.wait_for_engine, choice.access, tokens)
        scorer = windowed(scorer, choice.window)
        give_back()  # making a graph, or loading one, leaves more behind than it needs
    except ModelError as error:
        if choice.reranker is not None:
            raise
        return Searcher(retriever, None, (unavailable(error, NO_RERANKER),))
    store = user_store() if keep_scores else None
    return Searcher(retriever, scorer, models.notices + window_notices(scorer, choice.window), store)


# Architectures of which faster engines are tried (`rerank.engines.choose`); the others are run by their own files.
ENGINED = frozenset({"cross-encoder", "onnx-cross-encoder"})


def open_scorer(
    model: ResolvedModel,
    engine: str = "auto",
    wait: bool = True,
    access: ServiceAccess | None = None,
    token_store: TokenStore | None = None,
) -> Scorer:
    """Load the reranker of this model. Raises `ModelError` where it cannot be loaded.

    ``engine`` is one of `rerank.engines.choose.ENGINES`, and without ``wait`` nothing is measured first; only
    cross-encoders have a choice of engines. ``access`` holds the keys to rerankers behind a service. Late interaction
    takes passages' vectors from ``token_store``, where it has them.
    """
    if model.spec.architecture in ENGINED:
        from rerank.engines.choose import open_cross_encoder

        return open_cross_encoder(model, wanted=engine, wait=wait)
    module = reranker_module(model.spec.architecture)
    if module is None or not hasattr(module, "open_reranker"):
        raise ModelError(
            f"No reranker is known for the architecture “{model.spec.architecture}” of {model.name}."
        )
    scorer: Scorer = module.open_reranker(
        model, Options(engine, wait, access or ServiceAccess(), token_store)
    )
    return scorer
