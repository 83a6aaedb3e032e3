"""What all sessions share: loaded models and open searchers, bounded, each loaded once."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import streamlit as st

from ingest.encoders.base import Encoder
from ingest.encoders.onnx import open_encoder
from ingest.library.library import Library
from ingest.models.consent import is_service
from ingest.models.hub import Hub
from ingest.models.spec import ResolvedModel
from ingest.services.access import ServiceAccess
from rerank.engines.choose import choose_quietly, is_due, is_pending
from rerank.factory import ModelChoice, encoder_for, open_searcher, resolve_models
from rerank.search import Searcher
from ui.jobs.job import in_background
from ui.settings import Settings

# A loaded model is some hundred megabytes. Two libraries made with different encoders fit, and three
# rerankers to compare.
ENCODERS, SEARCHERS = 2, 3

_choosing, _chosen = threading.Lock(), set[Path]()


def open_library(settings: Settings) -> Library | None:
    """The library, or ``None`` where there is none yet. Raises `LibraryError` where it cannot be used."""
    return Library(settings.library) if Library.exists(settings.library) else None


def encoder(settings: Settings, library: Library | None) -> Encoder:
    """The encoder of the library, or the default one for a library to come; loaded once.

    Raises `EncoderMismatchError`, `ModelError`.
    """
    made_with = library.manifest().identity if library else ""
    services = settings.services
    model = _resolved(str(settings.library), made_with, settings.encoder, settings.allow_downloads, services)
    return _encoder(model.spec.identity, str(model.folder), services, model)


def searcher(settings: Settings, library: Library, reranker: str | None) -> Searcher:
    """A searcher on the library with this reranker; opened once, and it follows the library's changes.

    Raises `EncoderMismatchError`, `ModelError`.
    """
    return searcher_beside(settings, library, reranker).result()


def searcher_beside(settings: Settings, library: Library, reranker: str | None) -> Future[Searcher]:
    """The same, opened beside the page; what went wrong is in the future, and is tried again the next time."""
    names = (
        str(library.folder), library.manifest().identity, replace(settings.models_at_once, reranker=reranker),
        encoder(settings, library),
    )  # fmt: skip
    opening = _searcher(*names)
    if opening.done() and opening.exception() is not None:
        _searcher.clear(*names)
        opening = _searcher(*names)
    return opening


def searcher_apart(settings: Settings, library: Library, encoder: Encoder, reranker: str) -> Searcher:
    """A searcher on another library than the page's, loaded for the caller alone. May be called on any thread.

    Raises `EncoderMismatchError`, `ModelError`.
    """
    return open_with(library, replace(settings.models_at_once, reranker=reranker), encoder)


def open_with(library: Library, choice: ModelChoice, encoder: Encoder) -> Searcher:
    """A searcher of its own with these models; the encoder is loaded. Raises `EncoderMismatchError`, `ModelError`."""
    return open_searcher(library, resolve_models(choice, library, encoder))


def choose_engine(settings: Settings, searcher: Searcher) -> Future[None] | None:
    """Have the reranker's engine chosen beside the page, where nobody has yet; later searches then run on it.

    To be called when a second look is done, so that the first answer never waits for it. Once a process and model, but
    for a choice that was made on a busy machine: that is made again.
    """
    model, wanted = searcher.models.reranker, settings.engine
    if (
        model is None
        or is_service(model)
        or not (is_pending(model, wanted=wanted) or is_due(model, wanted=wanted))
    ):
        return None
    with _choosing:
        if model.folder in _chosen:
            return None
        _chosen.add(model.folder)

    def choose() -> None:
        if choose_quietly(model, wanted=wanted):
            _searcher.clear()
            with _choosing:
                _chosen.discard(model.folder)

    return in_background(choose)


@st.cache_resource(max_entries=8, show_spinner=False)
def _resolved(
    folder: str, made_with: str, name: str | None, downloads: bool, services: ServiceAccess
) -> ResolvedModel:
    library = Library(Path(folder)) if made_with else None
    return encoder_for(library, ModelChoice(name, None, downloads, access=services), Hub(downloads))


@st.cache_resource(max_entries=ENCODERS, show_spinner=False)
def _encoder(identity: str, folder: str, services: ServiceAccess, _model: ResolvedModel) -> Encoder:
    return open_encoder(_model, access=services)


@st.cache_resource(max_entries=SEARCHERS, show_spinner=False)
def _searcher(folder: str, made_with: str, choice: ModelChoice, _encoder: Encoder) -> Future[Searcher]:
    return in_background(lambda: open_with(Library(Path(folder)), choice, _encoder))
