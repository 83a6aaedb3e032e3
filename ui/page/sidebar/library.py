"""The library in the side bar: files to add and how they ended, and the documents, each with a way to delete it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import streamlit as st

from ingest.errors import SecondLookError
from ingest.library.files.originals import Original, opened
from ingest.library.library import Library
from ingest.library.snapshot import DocumentInfo
from ingest.library.writer import writing
from ingest.readers.registry import formats_in_words
from ingest.readers.source import format_size
from ingest.records import Stage
from ui.files.uploads import MOST_BYTES, MOST_FILES, Upload, extent, result_line, short_name
from ui.jobs.ingest import FileLine, IngestJob
from ui.page import samples
from ui.page.components import literal, problem, quiet
from ui.page.state import ALL_SAMPLES, FILTER_KEY, State
from ui.page.visitors import is_alone, refused_upload
from ui.presentation.formatting import count_of, shortened
from ui.presentation.remedies import Face, told

POLL_SECONDS = 0.5  # often enough to look alive; each look costs a few milliseconds
MOST_ROWS = 40  # documents listed at once: each row is widgets that every run has to make
MOST_LINES = 8  # result lines before the list scrolls in a box of its own


def add_files(state: State, usable: bool, keeps_originals: bool) -> Sequence[Upload]:
    """The place to drop files, and how the last ones ended; files that were dropped just now.

    Where originals are kept, a file replaces an earlier one of its name unless told otherwise: that can be undone.
    """
    st.header("Library", anchor=False)
    uploads = st.file_uploader(
        "Drop files here to add them",
        accept_multiple_files=True,
        key=f"uploads-{state.uploader}",
        disabled=state.ingesting or not usable,
        help=f"Second Look reads {formats_in_words()}. Other files are refused, with the reason. At once: "
        f"{MOST_FILES:,} files, {format_size(MOST_BYTES)}.",
    )
    quiet([
        "PDFs, scans, Word, Excel, PowerPoint, web pages, Markdown, mails, pictures of text, archives, any text."
    ], "takes")  # fmt: skip
    if is_alone():  # on a network a name says nothing of whose file it is
        st.checkbox(
            "Replace earlier files of the same name",
            value=keeps_originals,
            key=replace_key(state),
            disabled=state.ingesting or not usable,
            help="Else both are kept: minutes.txt and minutes (2).txt. It holds for the next files alone. What is "
            "replaced can be put back, where originals are kept.",
        )
    if not uploads and (refused := refused_upload()):
        state.upload_problem = refused
    if state.upload_problem:
        problem("Files were not added.", state.upload_problem)
    if state.ingest is not None:
        _ingest(state.ingest, state)
    return uploads


def replace_key(state: State) -> str:
    """The key of the choice to replace earlier files, which is made anew for each drop."""
    return f"replace-{state.uploader}"


def _ingest(job: IngestJob, state: State) -> None:
    """The progress of an ingest, looked at again and again while it runs; its result lines afterwards."""
    running = not job.finished
    st.fragment(_ingest_lines, run_every=POLL_SECONDS if running else None)(job, running)
    if not running:
        # Not in the fragment: a click there draws it alone again, with the list that it was given.
        st.button("Clear this list", on_click=_clear, args=(state,), type="tertiary", key="clear-ingest")
        ask_for_passwords(job, state)


def _ingest_lines(job: IngestJob, was_running: bool) -> None:
    if was_running and job.finished:
        st.rerun()
    lines = job.lines()
    if was_running:
        _progress(job, lines)
    if job.failure:
        problem("The files could not be added.", job.failure)
    with st.container(height=260 if len(lines) > MOST_LINES else "content", gap="xsmall", key="line-results"):
        for line in _worth_showing(lines):
            st.text(result_line(line.report) if line.report else f"… {short_name(line.name)}: {line.doing}")
    quiet([sentence for sentence in (job.cost, job.token_vectors) if sentence], "ingest-cost")
    if was_running:
        st.button("Cancel", on_click=job.cancel, disabled=job.cancelled, key="cancel-ingest")


def _worth_showing(lines: Sequence[FileLine]) -> list[FileLine]:
    """Files that have something to say first: those at work and those with a reason."""
    if len(lines) <= MOST_LINES:
        return list(lines)
    return sorted(lines, key=lambda line: (line.doing == "waiting", not (line.report and line.report.reason)))


def _progress(job: IngestJob, lines: Sequence[FileLine]) -> None:
    done, at = sum(line.report is not None for line in lines), job.progress
    if job.cancelled:
        words = "Stopping; what is finished stays."
    elif at is not None and at.stage is Stage.EMBEDDING and at.total:
        rate = f", {at.rate:.3g} a second" if at.rate else ""
        words = f"{at.done} of {at.total} passages embedded{rate}"
    else:
        words = f"{done} of {count_of(len(lines), 'file')} done"
    st.progress(_share(job, done, len(lines)), text=words)


def _share(job: IngestJob, done: int, files: int) -> float:
    """How far an ingest is, 0 to 1: files read whole, with embedding as the larger part of the work."""
    at = job.progress
    if at is None or not files:
        return 0.0
    read = (at.file - (at.stage is Stage.READING)) / files
    embedded = at.done / at.total if at.total else 0.0
    return min(max(0.2 * read + 0.8 * embedded * read, done / files), 1.0)


def _clear(state: State) -> None:
    if state.ingest is not None:
        state.ingest.discard()
    state.ingest = None


def documents(library: Library, state: State) -> None:
    """The documents of the library, the person's own first, each with a way to delete it."""
    listed = library.documents()
    own, ours = samples.split(listed)
    passages = sum(document.chunks for document in listed)
    files, size = library.originals_size()
    originals_words = f", {count_of(files, 'original')} ({format_size(size)})" if files else ""
    quiet(
        [f"{count_of(len(listed), 'document')}, {count_of(passages, 'passage')}{originals_words}"], "library"
    )
    if library.is_cut_as_before:
        quiet([
            "An earlier version cut these passages and parted some headings from their text. They are found as before; "
            f"“secondlook rebuild --library {library.folder}” in a terminal cuts them better."
        ], "cut")  # fmt: skip
    if state.problem:
        problem("Nothing was deleted.", state.problem)
    if state.message:
        quiet([state.message], "said")
    _rows(own, "own", library, state)
    if ours:
        with st.expander(f"Sample documents: {len(ours)}", on_change="rerun", key="samples") as box:
            if box.open:  # closed, it costs nothing
                _remove_samples(ours, library, state)
                _rows(ours, "samples", library, state)


def _rows(documents: Sequence[DocumentInfo], whose: str, library: Library, state: State) -> None:
    if len(documents) > MOST_ROWS:
        wanted = st.text_input("Find a document", key=f"{FILTER_KEY}-{whose}").casefold()
        documents = [d for d in documents if wanted in f"{d.title} {d.path}".casefold()]
    for document in documents[:MOST_ROWS]:
        _row(document, library, state)
    if len(documents) > MOST_ROWS:
        quiet([f"and {len(documents) - MOST_ROWS} more; type a part of a title to find one"], "more")


def _row(document: DocumentInfo, library: Library, state: State) -> None:
    with st.container(key=f"document-{document.id}", gap=None):
        with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
            st.text(document.title or document.path, width="stretch")
            if state.deleting != document.id:
                st.button(
                    "Delete", key=f"delete-{document.id}", type="tertiary", disabled=state.ingesting,
                    on_click=_ask_to_delete, args=(state, document.id),
                )  # fmt: skip
        with st.container(horizontal=True, vertical_alignment="top", gap="small", wrap=False):
            with st.container(key=f"extent-{document.id}"):
                st.text(extent(document.chunks, document.pages) + known_of(document))
            if document.original is not None:
                st.download_button(
                    "Original", partial(_bytes_of, library.folder, document.original), key=f"original-{document.id}",
                    file_name=document.original.file_name, mime="application/octet-stream", type="tertiary",
                    on_click="ignore", help="Download the file as it was added",
                )  # fmt: skip
        if document.previous is not None:
            st.button(
                "Put the earlier file back", key=f"put-back-{document.id}", type="tertiary", disabled=state.ingesting,
                on_click=_put_back, args=(state, document.previous),
                help="Another file of this name took its place; that one can be put back in turn.",
            )  # fmt: skip
        if state.deleting == document.id:
            _confirm(
                f"Delete it with its {count_of(document.chunks, 'passage')}?", [document], library, state
            )


def _put_back(state: State, previous: Original) -> None:
    state.put_back = previous


_LONGEST = 60  # characters of an author or of all tags


def known_of(document: DocumentInfo) -> str:
    """What else is known of a document, to go behind its extent: its kind, day, author, language and tags."""
    known = document.metadata
    day, tags = (known.modified or known.created)[:10], ", ".join(known.tags)
    parts = (
        document.format,
        day,
        shortened(known.author, _LONGEST),
        known.language,
        shortened(tags, _LONGEST),
    )
    return "".join(f" · {part}" for part in parts if part)


def _bytes_of(folder: Path, original: Original) -> bytes:
    """What is downloaded, read when it is asked for. Raises `LibraryDamagedError`."""
    with opened(folder, original) as file:
        return file.read()


def _remove_samples(ours: Sequence[DocumentInfo], library: Library, state: State) -> None:
    if state.deleting == ALL_SAMPLES:
        _confirm(f"Remove all {len(ours)} sample documents?", ours, library, state)
    else:
        st.button(
            "Remove the sample documents", key="remove-samples", disabled=state.ingesting,
            on_click=_ask_to_delete, args=(state, ALL_SAMPLES),
        )  # fmt: skip


def _confirm(question: str, doomed: Sequence[DocumentInfo], library: Library, state: State) -> None:
    st.text(question)
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Yes, delete", key="confirm-delete", type="primary",
            on_click=_delete, args=(state, library, list(doomed)),
        )  # fmt: skip
        st.button("Keep", key="keep", on_click=_ask_to_delete, args=(state, None))


def _ask_to_delete(state: State, what: str | None) -> None:
    state.deleting, state.message, state.problem = what, "", ""


def _delete(state: State, library: Library, doomed: Sequence[DocumentInfo]) -> None:
    """Take documents out; whatever happens, the page says it."""
    no_samples = state.deleting == ALL_SAMPLES
    state.deleting, state.problem = None, ""
    try:
        if no_samples:
            samples.forget(library)
        with writing(library) as writer:
            writer.delete([document.id for document in doomed])
    except SecondLookError as error:
        state.problem = told(error, Face.PAGE)
        return
    what = doomed[0].title or doomed[0].path
    state.message = f"Deleted: {what}" if len(doomed) == 1 else f"{len(doomed)} documents were deleted."


LONGEST = 127  # characters: PDF's own limit is 127 bytes (ISO 32000-2, 7.6.4.3.3)
NOT_KEPT = (
    "A password is used once and is not kept. What it opens is kept in the library, as readable as the rest."
)


def ask_for_passwords(job: IngestJob, state: State) -> None:
    """A form for each file of a finished job that would be read with its password."""
    locked = [
        (number, line.name)
        for number, line in enumerate(job.lines(), start=1)
        if line.report is not None and line.report.needs_password
    ]
    for number, name in locked:
        with st.form(f"locked-{number}", clear_on_submit=True, border=False):
            st.text_input(
                literal(f"Password of {short_name(name)}"), type="password", key=_key(number), autocomplete="off",
                max_chars=LONGEST,
            )  # fmt: skip
            st.form_submit_button("Read this file", on_click=_read_again, args=(state, number))
    if locked:
        quiet([NOT_KEPT], "not-kept")


def _key(number: int) -> str:
    return f"password-of-{number}"


def _read_again(state: State, number: int) -> None:
    """Read the one file with what was typed; the session forgets that at once."""
    password: str = st.session_state[_key(number)]
    st.session_state[_key(number)] = ""
    if password and state.ingest is not None and state.ingest.finished:
        state.ingest = state.ingest.with_password(number, password).start()
