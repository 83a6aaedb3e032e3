"""Bi-encoders that go by a name: prefixes, dimension, length limit, licence, languages, and the revision that is used.

Pooling and normalisation are in each model's own files, which sentence-transformers follows: the first token's vector
for BGE, the mean of all tokens' for E5 and MiniLM.
"""

from __future__ import annotations

from collections.abc import Mapping

from ingest.models.spec import ModelKind, ModelSpec

DEFAULT_ENCODER = "BAAI/bge-small-en-v1.5"
BUNDLED_ENCODER = "sentence-transformers/all-MiniLM-L6-v2"

# Xiao et al. 2023 (C-Pack) put an instruction before queries only, Wang et al. 2022 (E5) a word before both.
BGE_QUERY = "Represent this sentence for searching relevant passages: "
BGE_QUERY_CHINESE = "为这个句子生成表示以用于检索相关文章："
E5_QUERY, E5_PASSAGE = "query: ", "passage: "

# Revisions are commits of the hub, so that nobody's later push changes what a library was made with. Those of E5 are
# the ones that the benchmark MTEB pins.


def _bge(size: str, revision: str, dim: int, parameters: float) -> ModelSpec:
    return ModelSpec(
        f"BAAI/bge-{size}-en-v1.5", ModelKind.ENCODER, "bi-encoder", revision, licence="MIT", max_length=512, dim=dim,
        query_prefix=BGE_QUERY, parameters=parameters,
    )  # fmt: skip


def _e5(name: str, revision: str, dim: int, parameters: float, languages: str = "English") -> ModelSpec:
    return ModelSpec(
        f"intfloat/{name}", ModelKind.ENCODER, "bi-encoder", revision, licence="MIT", max_length=512, dim=dim,
        query_prefix=E5_QUERY, passage_prefix=E5_PASSAGE, languages=languages, parameters=parameters,
    )  # fmt: skip


_MANY = "about 100 languages"

ENCODERS: Mapping[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        _bge("small", "5c38ec7c405ec4b44b94cc5a9bb96e735b38267a", 384, 33.4),
        _bge("base", "a5beb1e3e68b9ab74eb54cfd186867f64f240e1a", 768, 109),
        _bge("large", "d4aa6901d3a41ba39fb536a557fa166f842b0e09", 1024, 335),
        _e5("e5-small-v2", "dca8b1a9dae0d4575df2bf423a5edb485a431236", 384, 33.4),
        _e5("e5-base-v2", "1c644c92ad3ba1efdad3f1451a637716616a20e8", 768, 109),
        _e5("e5-large-v2", "b322e09026e4ea05f42beadf4d661fb4e101d311", 1024, 335),
        _e5("multilingual-e5-small", "fd1525a9fd15316a2d503bf26ab031a61d056e98", 384, 118, _MANY),
        _e5("multilingual-e5-base", "d13f1b27baf31030b7fd040960d60d909913633f", 768, 278, _MANY),
        _e5("multilingual-e5-large", "ab10c1a7f42e74530fe7ae5be82e6d4f11a719eb", 1024, 560, _MANY),
        ModelSpec(
            BUNDLED_ENCODER, ModelKind.ENCODER, "bi-encoder",
            "c9745ed1d9f207416be6d2e6f8de32d1f16199bf", licence="Apache-2.0", max_length=256, dim=384, parameters=22.7,
        ),
    )
}  # fmt: skip

# Short names that people type.
ENCODER_ALIASES: Mapping[str, str] = {
    "bge-small": "BAAI/bge-small-en-v1.5",
    "bge-base": "BAAI/bge-base-en-v1.5",
    "bge-large": "BAAI/bge-large-en-v1.5",
    "e5-small": "intfloat/e5-small-v2",
    "e5-base": "intfloat/e5-base-v2",
    "e5-large": "intfloat/e5-large-v2",
    "bundled": BUNDLED_ENCODER,
    # What stands behind the last slash is enough for those in the list.
    **{name.rpartition("/")[2]: name for name in ENCODERS},
}


def prefixes_of(name: str) -> tuple[str, str]:
    """What goes before a query and before a passage for a model of that name; two empty strings where none is known.

    E5 and BGE were trained with prefixes, and their files seldom say so. E5's instruct models take an instruction
    that depends on the task, which a name does not tell.
    """
    lower = name.lower()
    if "e5-" in lower and "instruct" not in lower:
        return E5_QUERY, E5_PASSAGE
    if "bge-" in lower and "reranker" not in lower:
        return (BGE_QUERY if "-en" in lower else BGE_QUERY_CHINESE if "-zh" in lower else ""), ""
    return "", ""
