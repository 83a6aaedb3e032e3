"""What every answer says of how it came to be: its models, the mix that orders it, what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ingest.models.consent import privacy_notice
from ingest.models.resolve import ModelSource, ResolvedModel
from ingest.services.billing import Bill
from rerank.records import FirstLook, Models, Part
from rerank.scorers.base import Scorer
from rerank.second_look import SecondLookPlan
from retrieval.fusion import Fusion
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
    notices += missed_notices(encoder, reranker)
    if reranker.source is ModelSource.BUNDLED and reranker.spec.architecture == "late-interaction":
        notices.append(
            "The second look is late interaction (MaxSim) over the bundled encoder's token vectors, for which that "
            "encoder was not trained: measure before you rely on it (docs/measured.md)."
        )
    if mix := shipped_mix(Models(encoder, reranker)):
        notices.append(mix)
    if reranker.source is ModelSource.BUNDLED and reranker.spec.architecture == "onnx-cross-encoder":
        notices.append(
            "The bundled reranker is a small stand-in: it improves questions like those that it was trained on, and on "
            "others may do no better than the first look (docs/model-card.md). With a network, secondlook models "
            "prefetch brings the standard one."
        )
    return tuple(notices)


def missed_notices(*models: ResolvedModel) -> list[str]:
    """Which models of the hub could not be had, and why: a sentence a reason."""
    names: dict[str, list[str]] = {}
    for missed in (model.missed for model in models if model.missed):
        names.setdefault(missed.reason, []).append(missed.name)
    return [
        f"{' and '.join(those)} could not be had: {reason.rstrip('.')}." for reason, those in names.items()
    ]


def whole_notices(reranker: ResolvedModel, plan: SecondLookPlan) -> tuple[str, ...]:
    """That a service is not ended early, where that was asked for."""
    if not plan.may_end_early:
        return ()
    return (
        f"{reranker.name} is a service that is asked once about all passages: neither a time budget nor "
        "--stop-when-stable ends that early.",
    )


def window_notices(scorer: Scorer, wanted: int | None) -> tuple[str, ...]:
    """That a reranker is given passages whole, where a window was asked for."""
    if not wanted or scorer.window is not None:
        return ()
    return (
        f"{scorer.model.name} is given passages whole: its tokens cannot be counted here, so that --window, or "
        "SECONDLOOK_WINDOW, says nothing to it.",
    )


def shipped_mix(models: Models) -> str:
    """The sentence on the mix that the reranker is shipped with for this encoder; empty where it is with none."""
    encoder, reranker = models.encoder, models.reranker
    if reranker is None or not reranker.spec.bi_weight or reranker.spec.bi_encoder != encoder.name:
        return ""
    return (
        f"The order of {reranker.name} is a mix: its own logit plus {reranker.spec.bi_weight:.3g} times the "
        f"cosine of {encoder.name}."
    )


def with_mix_notice(first: FirstLook, fusion: Fusion | None) -> FirstLook:
    """The first look with the notice of the mix that its second look will be: a fusion takes the logit alone."""
    reranker = first.models.reranker
    if fusion is None or reranker is None:
        return first
    shipped = shipped_mix(first.models)
    others = tuple(notice for notice in first.notices if notice != shipped)
    mix = (
        f"The second order is a mix: {fusion.title}, of the first look (by {FIRST_LOOKS[first.source]}) and the logit "
        f"of {reranker.name}. A fused score is not read as relevance."
    )
    return replace(first, notices=(mix, *others))


def fused_notice(first: FirstLook, parts: Sequence[Part], fusion: Fusion) -> str:
    """What the order of several rerankers is made of, each with its share; of parts that have an order."""
    there = [part for part in parts if part.reranked]
    looked = f"the first look (by {FIRST_LOOKS[first.source]})"
    if fusion.shares is None:
        *most, last = [looked, *(part.name for part in there)]
        what = f"{', '.join(most)} and {last}, by reciprocal rank"
    else:
        rest = 1 - sum(part.share or 0.0 for part in there)
        shares = [f"{part.share or 0.0:.0%} {part.name}" for part in there]
        what = f"{', '.join(shares)} and {rest:.0%} {looked}, by standardised scores"
    return f"The second order is a fusion: {what}. A fused score is not read as relevance."


def cost_notices(bill: Bill) -> tuple[str, ...]:
    """What services counted for this step, as a sentence, where they counted anything."""
    return (str(bill),) if bill else ()
