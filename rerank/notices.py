"""What every answer says of how it came to be: its models, the mix that orders it, what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ingest.errors import SecondLookError
from ingest.models.consent import privacy_notice
from ingest.models.spec import ModelSource, ResolvedModel
from ingest.notices import Notice, NoticeKind
from ingest.services.billing import Bill
from rerank.records import FirstLook, Part
from rerank.request import SecondLookPlan
from rerank.scorers.base import Scorer
from retrieval.fusion import Fusion


def model_notices(encoder: ResolvedModel, reranker: ResolvedModel) -> tuple[Notice, ...]:
    """What is to be known of these two: what leaves the machine, what was not trained for this, what is mixed."""
    notices = [
        Notice(NoticeKind.PRIVACY, text) for model in (encoder, reranker) if (text := privacy_notice(model))
    ]
    notices += missed_notices(encoder, reranker)
    if reranker.source is ModelSource.BUNDLED and reranker.spec.architecture == "late-interaction":
        notices.append(Notice(
            NoticeKind.UNTRAINED,
            "The second look is late interaction (MaxSim) over the bundled encoder's token vectors, for which that "
            "encoder was not trained: measure before you rely on it (docs/measured.md).",
        ))  # fmt: skip
    if reranker.spec.bi_weight and reranker.spec.bi_encoder == encoder.name:
        notices.append(Notice(
            NoticeKind.MIX,
            f"The order of {reranker.name} is a mix: its own logit plus {reranker.spec.bi_weight:.3g} times the "
            f"cosine of {encoder.name}.",
        ))  # fmt: skip
    if reranker.source is ModelSource.BUNDLED and reranker.spec.architecture == "onnx-cross-encoder":
        notices.append(Notice(
            NoticeKind.STAND_IN,
            "The bundled reranker is a small stand-in: it improves questions like those that it was trained on, and on "
            "others may do no better than the first look (docs/model-card.md).",
        ))  # fmt: skip
    return tuple(notices)


def missed_notices(*models: ResolvedModel) -> list[Notice]:
    """Which models of the hub could not be had, and why: a notice a reason."""
    names: dict[str, list[str]] = {}
    for missed in (model.missed for model in models if model.missed):
        names.setdefault(missed.reason, []).append(missed.name)
    return [
        Notice(NoticeKind.MISSED, f"{' and '.join(those)} could not be had: {reason.rstrip('.')}.")
        for reason, those in names.items()
    ]


def whole_notices(reranker: ResolvedModel, plan: SecondLookPlan) -> tuple[Notice, ...]:
    """That a service is not ended early, where that was asked for."""
    if not plan.may_end_early:
        return ()
    text = f"{reranker.name} is a service that is asked once about all passages."
    return (Notice(NoticeKind.UNSTOPPABLE, text),)


def window_notices(scorer: Scorer, wanted: int | None) -> tuple[Notice, ...]:
    """That a reranker is given passages whole, where a window was asked for."""
    if not wanted or scorer.window is not None:
        return ()
    text = f"{scorer.model.name} is given passages whole: its tokens cannot be counted here."
    return (Notice(NoticeKind.UNWINDOWED, text),)


def without_mix(notices: Sequence[Notice]) -> tuple[Notice, ...]:
    """The notices but for that on the mix that a reranker is shipped with, where another order is shown."""
    return tuple(notice for notice in notices if notice.kind is not NoticeKind.MIX)


def with_mix_notice(first: FirstLook, fusion: Fusion | None) -> FirstLook:
    """The first look with the notice of the mix that its second look will be: a fusion takes the logit alone."""
    reranker = first.models.reranker
    if fusion is None or reranker is None:
        return first
    mix = (
        f"The second order is a mix: {fusion.title}, of {_looked(first)} and the logit of {reranker.name}. A fused "
        "score is not read as relevance."
    )
    return replace(first, notices=(Notice(NoticeKind.FUSION, mix), *without_mix(first.notices)))


def _looked(first: FirstLook) -> str:
    by = first.source.in_words.replace(" (", ", ").rstrip(")")  # no brackets within brackets
    return f"the first look (by {by})"


def fused_notice(first: FirstLook, parts: Sequence[Part], fusion: Fusion) -> Notice:
    """What the order of several rerankers is made of, each with its share; of parts that have an order."""
    there = [part for part in parts if part.reranked]
    looked = _looked(first)
    if fusion.shares is None:
        *most, last = [looked, *(part.name for part in there)]
        what = f"{', '.join(most)} and {last}, by reciprocal rank"
    else:
        rest = 1 - sum(part.share or 0.0 for part in there)
        shares = [f"{part.share or 0.0:.0%} {part.name}" for part in there]
        what = f"{', '.join(shares)} and {rest:.0%} {looked}, by standardised scores"
    text = f"The second order is a fusion: {what}. A fused score is not read as relevance."
    return Notice(NoticeKind.FUSION, text)


def not_reranked(error: Exception) -> Notice:
    """That the second look failed and why, in the error's own words where those are likely to be a sentence."""
    why = str(error).removesuffix(".")
    if not why or not isinstance(error, SecondLookError | RuntimeError | ValueError):
        why = f"the reranker ended with {type(error).__name__}{f' ({why})' if why else ''}"
    return Notice(NoticeKind.NOT_RERANKED, f"Not reranked: {why}.", getattr(error, "help", None))


def unavailable(error: SecondLookError, begin: str = "") -> Notice:
    """That there is no reranker and why; ``begin`` comes before the error's own words."""
    return Notice(NoticeKind.UNAVAILABLE, f"{begin}{error}", error.help)


def cost_notices(bill: Bill) -> tuple[Notice, ...]:
    """What services counted for this step, where they counted anything."""
    return (Notice(NoticeKind.COST, str(bill)),) if bill else ()
