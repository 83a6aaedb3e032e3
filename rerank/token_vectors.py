"""Token vectors of a library's passages, computed when documents come in: a query then costs one encoding.

What is stored, and how it goes with its passages, is `ingest.library.token_vectors`; its form is
`rerank.scorers.maxsim`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import CancelledError, LibraryError, UsageError
from ingest.library.library import Library
from ingest.library.token_vectors import RequestedModel, TokenStore
from ingest.library.trust import require_trust
from ingest.models.hub import Hub
from ingest.models.spec import ResolvedModel
from ingest.records import Chunk
from rerank.factory import open_scorer
from rerank.registry import KNOWN_RERANKERS, RERANKER_ALIASES, resolve_reranker
from rerank.scorers.base import TokenVectors
from rerank.scorers.maxsim import compress, vectors_identity

# Rerankers that compare token with token. Others read query and passage together, and have nothing to store.
ARCHITECTURES = frozenset({"late-interaction", "colbert"})
# Passages a transaction: some seconds of work, which is what a stop or a crash can cost.
BATCH = 64

OnFilled = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Filled:
    """What is stored of one model: how many passages were ``added`` just now, how many there are, their bytes.

    ``too_long`` passages have none, because the query chooses what is read of them.
    """

    model: ResolvedModel
    added: int
    passages: int
    bytes: int
    too_long: int


def store_token_vectors(
    library: Library,
    name: str,
    hub: Hub,
    on_progress: OnFilled = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Filled:
    """Store the token vectors of every passage for the reranker ``name``, and remember that they are wanted.

    What is there is not computed again, so that it can be stopped and begun again; two processes at it lose work, not
    rows. ``on_progress`` hears how many of how many passages are done. Raises `UsageError` for a reranker of another
    kind, `ModelError` where there is none of that name, `CancelledError` when ``cancelled`` says yes, `StorageError`
    where the disk refuses, `LibraryError` where somebody removed the token vectors meanwhile.
    """
    model = resolve_reranker(name, hub)
    if model.spec.architecture not in ARCHITECTURES:
        raise UsageError(
            f"{model.name} reads question and passage together, so that it has no token vectors to store. Name a model "
            "of late interaction: maxsim, or colbert-ir/colbertv2.0."
        )
    store, identity = TokenStore(library), vectors_identity(model)
    store.request(RequestedModel(lasting(name), identity))
    lacking = store.lacking(identity)
    too_long = _fill(library, store, model, lacking, on_progress, cancelled) if lacking else 0
    store.forget_gone()
    count, size = store.size(identity)
    return Filled(model, len(lacking) - too_long, count, size, too_long)


def keep_up(
    library: Library,
    hub: Hub,
    on_progress: OnFilled = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
    trusting: bool = False,
) -> list[Filled]:
    """Bring the token vectors of every model that was asked for up to date; nothing where none was.

    Raises as `store_token_vectors`, and `TrustNeededError` for a model that only the library names: ``trusting`` is the
    leave to load it.
    """
    models = TokenStore(library).requested_models()
    for model in models:
        require_trust(model.name, library.folder, trusting, KNOWN_RERANKERS)
    return [store_token_vectors(library, model.name, hub, on_progress, cancelled) for model in models]


def _fill(
    library: Library,
    store: TokenStore,
    model: ResolvedModel,
    lacking: Sequence[int],
    on_progress: OnFilled,
    cancelled: Callable[[], bool],
) -> int:
    """Compute and store these chunks' passages; how many were too long. Loads the model, which takes seconds."""
    vectors = open_scorer(model).token_vectors
    if vectors is None:
        raise UsageError(f"{model.name} has no token vectors to store.")
    identity, too_long = vectors_identity(model), 0
    for start in range(0, len(lacking), BATCH):
        on_progress(start, len(lacking))
        if cancelled():
            raise CancelledError(
                f"Stopped: {start} of {len(lacking)} passages have their token vectors now. The next ingest goes on."
            )
        with library.snapshot() as snapshot:
            chunks = list(snapshot.chunks(lacking[start : start + BATCH]).values())
        rows, left_out = _rows(vectors, chunks)
        too_long += left_out
        if not store.put(identity, rows):
            raise LibraryError(
                f"The token vectors of {library.folder} were removed while they were being stored; no more are."
            )
    on_progress(len(lacking), len(lacking))
    return too_long


def _rows(vectors: TokenVectors, chunks: Sequence[Chunk]) -> tuple[dict[str, bytes], int]:
    """What is stored of these chunks, by passage hash, and how many are too long for the model."""
    if not chunks:  # all of them were deleted meanwhile
        return {}, 0
    fits = vectors.fits([chunk.passage for chunk in chunks])
    whole_chunks = [chunk for chunk, whole in zip(chunks, fits, strict=True) if whole]
    if not whole_chunks:
        return {}, len(chunks)
    rows = {
        whole_chunks[place].passage_hash: compress(one.vectors, one.read)
        for places, made in vectors.encode([chunk.passage for chunk in whole_chunks])
        for place, one in zip(places, made, strict=True)
    }
    return rows, len(chunks) - len(whole_chunks)


def lasting(name: str) -> str:
    """The name as it is remembered: a folder's from wherever it is looked for, any other's in full."""
    return str(Path(name).resolve()) if Path(name).is_dir() else RERANKER_ALIASES.get(name, name)
