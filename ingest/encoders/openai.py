"""Bi-encoders behind OpenAI's embeddings route, by the official client, which is in the extra “openai”.

The same client asks any server that speaks the protocol: vLLM, Infinity, Text Embeddings Inference, Ollama.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ingest.encoders.base import Encoder, counting_tokenizer, unit_rows
from ingest.errors import ModelError, ServiceError
from ingest.models.consent import leaves_machine, require_consent
from ingest.models.encoders import BUNDLED_ENCODER, ENCODERS
from ingest.models.resolve import bundled_encoder_folder
from ingest.models.served import OPENAI, OPENAI_TOKENS, split_name
from ingest.models.spec import ModelSource, ResolvedModel
from ingest.notices import Help, Remedy
from ingest.services.access import OPENAI_URL, Service, ServiceAccess, checked_key
from ingest.services.billing import charge
from ingest.services.client import (
    RetryPolicy,
    by_index,
    check_status,
    httpx_client,
    keep_headers_unlogged,
    message_of,
    not_json,
    parsed,
    read_answer,
    too_slow,
    unreachable,
    with_retries,
    within,
)

LARGEST_ANSWER = 64 * 2**20
# An ingest can wait until a minute's allowance of tokens is there again; somebody waits for a question's answer.
FOR_PASSAGES = RetryPolicy(seconds=180.0, attempts=8, first_wait=1.0)
FOR_QUERY = RetryPolicy(seconds=20.0, attempts=4)


def open_served_encoder(model: ResolvedModel, access: ServiceAccess) -> Encoder:
    """The encoder of a model behind a service; one whose dimension is not known is asked for it, with a single letter.

    Raises `ConsentNeededError` before anything is sent, `ModelError` where the client or the key is missing,
    `ServiceError` where the service does not say how wide its vectors are.
    """
    encoder = OpenAIEncoder(model, access)
    if model.spec.dim is not None:
        return encoder
    width = len(encoder.encode_query("a"))
    return OpenAIEncoder(replace(model, spec=replace(model.spec, dim=width)), access)


class OpenAIEncoder:
    """Embeds by asking OpenAI or a server like it, in batches; many threads may ask at once."""

    def __init__(
        self,
        model: ResolvedModel,
        access: ServiceAccess,
        for_passages: RetryPolicy = FOR_PASSAGES,
        for_query: RetryPolicy = FOR_QUERY,
    ) -> None:
        """Nothing is sent yet. Raises `ModelError` where the client is not installed, or a key is missing.

        Raises `ConsentNeededError` where nobody allowed to send text there. Passages are cut by the bundled encoder's
        tokens: a service's own vocabulary is not on this machine.
        """
        service, _, rest = model.name.partition(":")
        self.model: Final = model
        self._of_openai = service == OPENAI
        self._asked, self._dimensions = split_name(rest)
        self._key = (
            checked_key(access.openai_key, Service.OPENAI)
            if self._of_openai
            else checked_key(access.embed_key, Service.EMBEDDINGS_SERVER)
        )
        self._for_passages, self._for_query = for_passages, for_query
        self._limits = OPENAI_LIMITS if self._of_openai else SERVER_LIMITS
        self._who = (
            "OpenAI"
            if self._of_openai
            else f"the embeddings server at {urlsplit(model.spec.revision).netloc}"
        )
        self._openai = _client_module()
        self._transport = import_module("httpx2")  # what the client itself is made of
        self._client = self._make_client()
        require_consent(model, access)
        bundled = ResolvedModel(ENCODERS[BUNDLED_ENCODER], ModelSource.BUNDLED, bundled_encoder_folder())
        self.tokenizer: Tokenizer = counting_tokenizer(bundled)

    def encode_passages(
        self, passages: Sequence[str], on_batch: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Vectors of shape (n, dim), in the order given. Raises `ServiceError`."""
        prefix = self.model.spec.passage_prefix
        try:
            return self._encode([prefix + passage for passage in passages], self._for_passages, on_batch)
        except ServiceError as error:
            raise ServiceError(
                f"The passages could not be embedded: {error}. What was embedded before is kept; adding the files "
                "again goes on from there."
            ) from error

    def encode_query(self, query: str) -> NDArray[np.float32]:
        """Vector of shape (dim,), the query's prefix included. Raises `ServiceError`."""
        try:
            vectors = self._encode([self.model.spec.query_prefix + query], self._for_query, None)
        except ServiceError as error:
            raise ServiceError(f"The question could not be embedded: {error}. Ask it again.") from error
        vector: NDArray[np.float32] = vectors[0]
        return vector

    def _encode(
        self, texts: Sequence[str], policy: RetryPolicy, on_batch: Callable[[int], None] | None
    ) -> NDArray[np.float32]:
        """Unit vectors of texts with their prefix; of one that is too long, the mean of its pieces' by their length."""
        pieces = [
            (row, piece)
            for row, text in enumerate(texts)
            for piece in pieces_of(text, self._limits.input_tokens)
        ]
        sums = np.zeros((len(texts), self.model.spec.dim or 0), dtype=np.float32)
        reported = 0
        for batch in batches_of([len(piece.encode()) for _, piece in pieces], self._limits):
            rows = [row for row, _ in pieces[batch]]
            vectors = self._ask([piece for _, piece in pieces[batch]], policy)
            if not sums.shape[1]:
                sums = np.zeros((len(texts), vectors.shape[1]), dtype=np.float32)
            lengths = np.array([[len(piece)] for _, piece in pieces[batch]], dtype=np.float32)
            np.add.at(sums, rows, vectors * lengths)
            finished = rows[-1] + (batch.stop == len(pieces) or pieces[batch.stop][0] > rows[-1])
            if on_batch is not None and finished > reported:
                on_batch(finished - reported)
            reported = finished
        return unit_rows(sums, self.model)

    def _ask(self, texts: list[str], policy: RetryPolicy) -> NDArray[np.float32]:
        return with_retries(partial(self._once, texts, policy), policy)

    def _once(self, texts: list[str], policy: RetryPolicy, seconds: float) -> NDArray[np.float32]:
        """The unit vectors (n, dim) that one request gives, of at most ``seconds``."""
        deadline = time.monotonic() + seconds
        with within(self._who, deadline, policy):
            answer = self._answer(texts, policy, deadline)
        self._charge(answer)
        return vectors_of(self._who, answer, len(texts), self.model.spec.dim)

    def _answer(self, texts: list[str], policy: RetryPolicy, deadline: float) -> object:
        """What the service answers to one request, parsed."""
        seconds = deadline - time.monotonic()
        options = {} if self._dimensions is None else {"dimensions": self._dimensions}
        try:
            with self._client.embeddings.with_streaming_response.create(
                model=self._asked,
                input=texts,
                encoding_format="base64",
                timeout=max(seconds, 0.001),
                extra_headers=self._headers_left_out(),
                **options,
            ) as response:
                kind = response.headers.get("Content-Type")
                raw = read_answer(self._who, response.iter_bytes(), deadline, policy, LARGEST_ANSWER)
        # Without the client's own error: its text is all that the service said, be it the key.
        except self._openai.APIStatusError as error:
            raise self._fault(error) from None
        except (self._openai.APITimeoutError, self._transport.TimeoutException):
            raise too_slow(self._who, policy) from None
        except (self._openai.APIConnectionError, self._transport.TransportError) as error:
            raise unreachable(self._who, error) from None
        answer = parsed(raw)
        if answer is None:
            raise not_json(self._who, kind)
        return answer

    def _fault(self, error: Any) -> ServiceError:
        """What a status other than 200 means here."""
        message = message_of(error.body, (self._key,)) if isinstance(error.body, dict) else ""
        if error.code == "insufficient_quota":  # a 429 that no waiting helps
            return ServiceError(f"{self._who} says that the account has no credit left ({message})")
        try:
            check_status(self._who, error.status_code, message, error.response.headers.get("Retry-After"))
        except ServiceError as fault:
            return fault
        return ServiceError(f"{self._who} gave an answer that its client cannot read")

    def _charge(self, answer: object) -> None:
        """Note the tokens that the service says it read; a server on this machine bills nobody."""
        usage = answer.get("usage") if isinstance(answer, dict) else None
        tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
        if self._of_openai or leaves_machine(self.model):
            # Another server that answers by OpenAI's names is told apart in the bill.
            elsewhere = self._of_openai and self.model.spec.revision != OPENAI_URL
            charge(f"{self.model.name}{' elsewhere' if elsewhere else ''}", "token", tokens)

    def _make_client(self) -> Any:
        if self._of_openai and not self._key:
            raise ModelError(
                f"The encoder {self.model.name} needs a key of OpenAI. Set it.",
                Help(Remedy.SET_KEY, subject=Service.OPENAI),
            )
        keep_headers_unlogged()
        return self._openai.OpenAI(
            api_key=self._key or "none", base_url=self.model.spec.revision, max_retries=0,
            http_client=httpx_client(
                self._transport, self._openai.DefaultHttpxClient, direct=not leaves_machine(self.model)
            ),
        )  # fmt: skip

    def _headers_left_out(self) -> dict[str, Any]:
        """What people set for OpenAI in the environment is no other server's business; and a key that is not there."""
        foreign = [] if self._of_openai else ["OpenAI-Organization", "OpenAI-Project"]
        return dict.fromkeys([*foreign, *([] if self._key else ["Authorization"])], self._openai.Omit())


def _client_module() -> Any:
    try:
        return import_module("openai")
    except ImportError as error:
        raise ModelError(
            "OpenAI's client is not installed. Install it.", Help(Remedy.INSTALL, subject="openai")
        ) from error


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What one request may hold: ``inputs`` texts, ``tokens`` in all, ``input_tokens`` each (``None``: any number).

    Tokens are counted as UTF-8 bytes, of which each token of a byte-level vocabulary holds at least one: that is never
    too few, and needs no vocabulary that would have to be downloaded.
    """

    inputs: int
    tokens: int
    input_tokens: int | None


# OpenAI's own (https://platform.openai.com/docs/api-reference/embeddings/create). Servers cut what is too long for
# their model, and Text Embeddings Inference takes 32 texts unless it was started otherwise.
OPENAI_LIMITS = RequestLimits(inputs=2048, tokens=300_000, input_tokens=OPENAI_TOKENS)
SERVER_LIMITS = RequestLimits(inputs=32, tokens=300_000, input_tokens=None)


def pieces_of(text: str, limit: int | None) -> Iterator[str]:
    """The text in pieces of at most ``limit`` bytes, none within a character.

    OpenAI refuses empty inputs; a space stands for nothing.
    """
    raw = text.encode("utf-8", "replace") or b" "
    start = 0
    while start < len(raw):
        end = min(start + (limit or len(raw)), len(raw))
        while end < len(raw) and raw[end] & 0xC0 == 0x80:  # a byte in the middle of a character
            end -= 1
        yield raw[start:end].decode()
        start = end


def batches_of(sizes: Sequence[int], limits: RequestLimits) -> Iterator[slice]:
    """Neighbours in batches of as many as a request may hold, one at least."""
    start, tokens = 0, 0
    for at, size in enumerate(sizes):
        if at > start and (at - start == limits.inputs or tokens + size > limits.tokens):
            yield slice(start, at)
            start, tokens = at, 0
        tokens += size
    if start < len(sizes):
        yield slice(start, len(sizes))


def vectors_of(who: str, answer: object, count: int, dim: int | None) -> NDArray[np.float32]:
    """Unit vectors (count, dim) of an answer, in the order of what was asked, whatever order its rows have.

    Each is a list of numbers, or base64 of little-endian float32. Raises `ServiceError` where a row is missing,
    doubled, of another width than ``dim`` (or than the others, where that is ``None``), not finite, or all zeros.
    """
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ServiceError(
            f"{who} gave an answer without vectors; check that its address is that of an embeddings route"
        )
    values = by_index(who, ((row.get("index"), row.get("embedding")) for row in rows), count, "vector")
    vectors = [_vector(who, value) for value in values]
    width = dim or len(vectors[0])
    for vector in vectors:
        if len(vector) != width:
            raise ServiceError(f"{who} gave a vector of {len(vector)} numbers; {width} were expected")
        if not np.isfinite(vector).all() or not vector.any():
            raise ServiceError(
                f"{who} gave a vector that points nowhere: its numbers are all zero, or are none"
            )
    stacked = np.stack(vectors).astype(np.float64)  # whose squares do not overflow
    unit: NDArray[np.float32] = (stacked / np.linalg.norm(stacked, axis=1, keepdims=True)).astype(np.float32)
    return unit


def _vector(who: str, value: object) -> NDArray[np.float32]:
    """One vector, however it is written."""
    try:
        if isinstance(value, str):
            return np.frombuffer(base64.b64decode(value, validate=True), dtype="<f4").astype(np.float32)
        if isinstance(value, list) and value:
            with np.errstate(over="ignore"):  # too large for float32 is infinite, and refused as such
                return np.array([float(number) for number in value], dtype=np.float32)
    except (ValueError, TypeError, OverflowError) as error:
        raise ServiceError(f"{who} gave a vector that cannot be read ({error})") from error
    raise ServiceError(f"{who} gave a vector that is neither numbers nor base64")
