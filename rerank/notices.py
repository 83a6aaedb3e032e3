"""What every answer says of how it came to be: its models, the mix that orders it, what it cost."""

from __future__ import annotations

from dataclasses import replace

from ingest.costs import Bill
from ingest.models import ModelSource, ResolvedModel
from ingest.service_access import privacy_notice
from rerank.fusion import Fusion
from rerank.records import FirstLook
from retrieval.records import CandidateSource

# What the first look goes by, in prose.
FIRST_LOOKS = {
    CandidateSource.VECTORS: "vectors",
    CandidateSource.WORDS: "words, BM25",
    CandidateSource.BOTH: "vectors and words",
}


def model_notices(encoder: ResolvedModel, reranker: ResolvedModel) -> tuple[str, ...]:
    """What is to be known of these two: what leaves the machine, what was not trained for this, what is mixed."""
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


def with_mix_notice(first: FirstLook, fusion: Fusion | None) -> FirstLook:
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


def cost_notices(bill: Bill) -> tuple[str, ...]:
    """What services counted for this step, as a sentence, where they counted anything."""
    return (str(bill),) if bill else ()
