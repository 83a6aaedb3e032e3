"""Which reranker is used: a folder, the hub's cache, the hub, or the bundled one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from math import isfinite
from pathlib import Path
from types import ModuleType

from ingest.errors import ModelError
from ingest.installation import shipped_files
from ingest.models.encoders import ENCODERS
from ingest.models.folder.check import check_model
from ingest.models.folder.json_files import read_json, shown
from ingest.models.hub import Hub
from ingest.models.resolve import (
    bundled_encoder_folder,
    find_in_hub,
    folder_revision,
    places,
    resolve,
    resolve_encoder,
)
from ingest.models.spec import ModelKind, ModelSource, ModelSpec, ResolvedModel
from ingest.services.access import ServiceAccess
from rerank.scorers.late_interaction import late_interaction_of
from rerank.scorers.services import COHERE, COHERE_MODELS, SERVER, served_model

DEFAULT_RERANKER = "cross-encoder/ms-marco-MiniLM-L-6-v2"
BUNDLED_RERANKER = "second-look-reranker"
LATE_INTERACTION = "maxsim"
# Tokens that a ColBERT is given of a document where its files do not say: as its authors do for passages of any corpus.
DOCUMENT_TOKENS = 300
# What transformers writes for a length that is not known begins far beyond this.
ENDLESS = 10**6
OURS = "onnx-cross-encoder"  # what a training writes
BUNDLED_FOLDER = shipped_files() / "data" / "models" / BUNDLED_RERANKER


def _ms_marco(name: str, revision: str, parameters: float, pickled: bool = False) -> ModelSpec:
    """The sigmoid of the logit is shown as relevance: the family learnt the scores of binary cross-entropy's models."""
    return ModelSpec(
        f"cross-encoder/ms-marco-{name}", ModelKind.RERANKER, "cross-encoder", revision, "Apache-2.0", 512,
        relevance_scale=1.0, parameters=parameters, pickled=pickled,
    )  # fmt: skip


def _bge(
    name: str, revision: str, licence: str, parameters: float, max_length: int, languages: str
) -> ModelSpec:
    """Trained by a softmax over one good passage and many bad ones, so that a score by itself is no probability."""
    return ModelSpec(
        f"BAAI/bge-reranker-{name}", ModelKind.RERANKER, "cross-encoder", revision, licence, max_length,
        languages=languages, parameters=parameters,
    )  # fmt: skip


def _monot5(name: str, revision: str, parameters: float) -> ModelSpec:
    return ModelSpec(
        f"castorini/monot5-{name}", ModelKind.RERANKER, "monot5", revision, "Apache-2.0", 512,
        relevance_scale=1.0, parameters=parameters, pickled=True,
    )  # fmt: skip


def _colbert(name: str, revision: str, licence: str, parameters: float) -> ModelSpec:
    return ModelSpec(
        name, ModelKind.RERANKER, "colbert", revision, licence, DOCUMENT_TOKENS, parameters=parameters
    )


RERANKERS: Mapping[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        _ms_marco("TinyBERT-L-2-v2", "81d1926f67cb8eee2c2be17ca9f793c7c3bd20cc", 4.4),
        _ms_marco("MiniLM-L-2-v2", "1b5cd67b15209f24824c50370e0397743aa9b787", 15.6),
        _ms_marco("MiniLM-L-4-v2", "777b2f369bc1c2f850df8bd367ed1654bda4497b", 19.2),
        _ms_marco("MiniLM-L-6-v2", "c5ee24cb16019beea0893ab7796b1df96625c6b8", 22.7),
        _ms_marco("MiniLM-L-12-v2", "7b0235231ca2674cb8ca8f022859a6eba2b1c968", 33.4),
        _ms_marco("electra-base", "69c22886dd57c67783a8f48af5b86a35657df8f6", 109, pickled=True),
        _bge("base", "2cfc18c9415c912f9d8155881c133215df768a70", "MIT", 278, 512, "English and Chinese"),
        _bge("large", "55611d7bca2a7133960a6d3b71e083071bbfc312", "MIT", 560, 512, "English and Chinese"),
        _bge("v2-m3", "953dc6f6f85a1b2dbfca4c34a2796e7dde08d41e", "Apache-2.0", 568, 8192, "over 100 languages"),
        _monot5("small-msmarco-10k", "77f8e3f7b1eb1afe353aa21a7c3a2fc8feca702e", 60.5),
        _monot5("base-msmarco-10k", "f15657ab3d2a5dd0b9a30c8c0b6a0a73c9cb5884", 223),
        _monot5("base-msmarco", "891f24ce967761cac53e544481e7aeaf3c1fad80", 223),
        _colbert("colbert-ir/colbertv2.0", "c1e84128e85ef755c096a95bdb06b47793b13acf", "MIT", 110),
        _colbert(
            "answerdotai/answerai-colbert-small-v1", "be1703c55532145a844da800eea4c9a692d7e267", "Apache-2.0", 33.4
        ),
        _colbert("lightonai/GTE-ModernColBERT-v1", "78d50a162b04dfdc45c3af6b4294ba77c24888a3", "Apache-2.0", 149),
    )
}  # fmt: skip
RERANKER_ALIASES: Mapping[str, str] = {
    "cross-encoder/ms-marco-MiniLM-L6-v2": DEFAULT_RERANKER,
    "bundled": BUNDLED_RERANKER,
    "late-interaction": LATE_INTERACTION,
    # What stands behind the last slash is enough for those in the list.
    **{name.rpartition("/")[2]: name for name in RERANKERS},
    **{name: f"{COHERE}:{name}" for name in COHERE_MODELS},
}  # fmt: skip

# Those that need nobody's leave, whoever names them.
KNOWN_RERANKERS = frozenset({*RERANKERS, *RERANKER_ALIASES, BUNDLED_RERANKER, LATE_INTERACTION})


def resolve_reranker(name: str | None, hub: Hub, access: ServiceAccess | None = None) -> ResolvedModel:
    """Find the reranker ``name`` (a name, an alias or a folder), or the default pair's for ``None``.

    Names of `rerank.scorers.services` are behind the services of ``access``; files of `rerank.scorers` may be rerankers
    themselves. Only the default falls back to the bundled
    reranker: a model asked for by name is found or refused. Raises `ModelNotFoundError` with everything that was
    tried, `ModelDamagedError` for a bad checksum, `ModelError` for a server without an address.
    """
    if name is None:
        return resolve(RERANKERS[DEFAULT_RERANKER], hub, bundled=bundled_reranker)
    name = RERANKER_ALIASES.get(name, name)
    if name == BUNDLED_RERANKER:
        return bundled_reranker(())
    if name == LATE_INTERACTION:
        return late_interaction_of(resolve_encoder("bundled", hub))
    if Path(name).is_dir():
        return ResolvedModel(reranker_spec_of_folder(Path(name)), ModelSource.FOLDER, Path(name))
    return served_model(name, access or ServiceAccess()) or resolve_named(name) or _of_hub(name, hub)


def _of_hub(name: str, hub: Hub) -> ResolvedModel:
    if name in RERANKERS:
        return resolve(RERANKERS[name], hub)
    folder, source, tried = find_in_hub(name, None, hub)
    return ResolvedModel(replace(reranker_spec_of_folder(folder), name=name), source, folder, tried)


def bundled_reranker(tried: tuple[str, ...]) -> ResolvedModel:
    """The reranker in the repository; late interaction over the bundled encoder where it is missing."""
    if (BUNDLED_FOLDER / "secondlook.json").is_file():
        return ResolvedModel(
            reranker_spec_of_folder(BUNDLED_FOLDER), ModelSource.BUNDLED, BUNDLED_FOLDER, tried
        )
    folder = bundled_encoder_folder()
    missing = (*tried, f"{BUNDLED_RERANKER}: not in {BUNDLED_FOLDER}")
    stopgap = late_interaction_of(resolve_encoder("bundled", Hub(allow_downloads=False)))
    return replace(stopgap, folder=folder, tried=missing)


def reranker_spec_of_folder(folder: Path) -> ModelSpec:
    """Spec of a reranker in a folder: ours by its ``secondlook.json``, others by their configuration.

    A sentence-transformers cross-encoder whose configuration names the sigmoid as its activation was
    trained to give relevance by it; others' scores are shown as they are.
    """
    check_model(folder)
    ours = read_json(folder / "secondlook.json")
    if ours:
        return _our_spec(folder, ours)
    config = read_json(folder / "config.json")
    if not config:
        raise ModelError(
            f"The folder {folder} holds no config.json; name a folder that a cross-encoder was saved to."
        )
    architecture = _architecture(folder, config)
    room = places(config) or 512
    most = _document_tokens(folder) if architecture == "colbert" else _tokenizer_length(folder)
    activation = str((config.get("sentence_transformers") or {}).get("activation_fn", ""))
    return ModelSpec(
        name=str(folder),
        kind=ModelKind.RERANKER,
        architecture=architecture,
        revision=folder_revision(folder),
        licence="see the model's card",
        max_length=min(room, most or room),
        languages="see the model's card",
        relevance_scale=1.0 if architecture == "monot5" or activation.endswith("Sigmoid") else None,
    )


def _tokenizer_length(folder: Path) -> int | None:
    """The length that the model was trained for, by its tokenizer; ``None`` where that says nothing, or “endless”."""
    length = read_json(folder / "tokenizer_config.json").get("model_max_length")
    return int(length) if isinstance(length, int | float) and 0 < length < ENDLESS else None


def _architecture(folder: Path, config: Mapping[str, object]) -> str:
    """Which kind of reranker a folder of transformers holds: ColBERT and T5 say so, all others are cross-encoders."""
    if _is_colbert(folder, config):
        return "colbert"
    return "monot5" if config.get("model_type") == "t5" else "cross-encoder"


def _is_colbert(folder: Path, config: Mapping[str, object]) -> bool:
    """Whether a folder holds a ColBERT: of its authors, of PyLate or of sentence-transformers."""
    noted = read_json(folder / "config_sentence_transformers.json")
    return (
        config.get("architectures") == ["HF_ColBERT"]
        or (folder / "artifact.metadata").is_file()
        or noted.get("model_type") in ("ColBERT", "MultiVectorEncoder")
        or ("query_length" in noted and "document_length" in noted)
    )


def _document_tokens(folder: Path) -> int:
    """How many tokens of a document a ColBERT is given."""
    noted = (
        read_json(folder / name)
        for name in ("config_sentence_transformers.json", "sentence_bert_config.json")
    )
    return next((int(one["document_length"]) for one in noted if one.get("document_length")), DOCUMENT_TOKENS)


def _our_spec(folder: Path, ours: Mapping[str, object]) -> ModelSpec:
    base = str(ours.get("base"))
    trained_from = RERANKERS.get(base) or ENCODERS.get(base)  # training changes no model's size
    kind = ours.get("architecture", OURS)
    if kind != OURS:  # by its name any scorer could be called, one that sends text away for one
        raise ModelError(
            f"{folder / 'secondlook.json'} describes no reranker of ours ({shown(kind)}); choose another."
        )
    try:
        spec = ModelSpec(
            name=str(ours["name"]),
            kind=ModelKind.RERANKER,
            architecture=OURS,
            revision=str(ours["version"]),
            licence=str(ours["licence"]),
            max_length=int(str(ours["max_length"])),
            bi_weight=float(str(ours["bi_weight"])),
            bi_encoder=str(ours["bi_encoder"]),
            relevance_scale=float(str(ours["relevance_scale"])),
            relevance_shift=float(str(ours["relevance_shift"])),
            window=int(str(ours["window"])) if "window" in ours else None,
            parameters=trained_from.parameters if trained_from is not None else None,
        )
        _check_numbers(spec)
    except (KeyError, ValueError, OverflowError) as error:
        raise ModelError(
            f"{folder / 'secondlook.json'} is not complete ({shown(str(error))}). Train or fetch the model again."
        ) from error
    return spec


def _check_numbers(spec: ModelSpec) -> None:
    """Raise ``ValueError`` for numbers that nothing can be read or ordered by."""
    if not all(map(isfinite, (spec.bi_weight, spec.relevance_scale or 0.0, spec.relevance_shift))):
        raise ValueError("a number of it is none")
    if not 16 <= spec.max_length <= ENDLESS or (spec.window is not None and spec.window < 1):
        raise ValueError("it reads no passage of such a length")


# Where each architecture is loaded: a module with ``open_reranker``. A new reranker is its file and a line here.
ARCHITECTURES: dict[str, str] = {
    "cross-encoder": "rerank.scorers.cross_encoder",
    "onnx-cross-encoder": "rerank.scorers.onnx_cross_encoder",
    "monot5": "rerank.scorers.monot5",
    "colbert": "rerank.scorers.multi_vector",
    "late-interaction": "rerank.scorers.late_interaction",
    "cohere": "rerank.scorers.cohere",
    "rerank-server": "rerank.scorers.rerank_server",
}
# Those of them that need no model files and go by their own names: their modules hold a ``SPEC``, too.
NAMED: tuple[str, ...] = ()


def resolve_named(name: str) -> ResolvedModel | None:
    """The reranker of that name that needs no model files; ``None`` where there is none."""
    if name not in NAMED:
        return None
    module = _module_of(name)
    return ResolvedModel(module.SPEC, ModelSource.BUNDLED, Path(str(module.__file__)).parent)


def named_rerankers() -> list[str]:
    """The names of the rerankers that need no model files."""
    return sorted(NAMED)


def kinds() -> list[str]:
    """The architectures that can be loaded."""
    return sorted(ARCHITECTURES)


def reranker_module(architecture: str) -> ModuleType | None:
    """The module that loads rerankers of this architecture; ``None`` where none does."""
    return _module_of(architecture) if architecture in ARCHITECTURES else None


def _module_of(architecture: str) -> ModuleType:
    return import_module(ARCHITECTURES[architecture])


def usable_rerankers(hub: Hub, access: ServiceAccess) -> list[str]:
    """Their full names: bundled ones, those in the hub's cache, Cohere's where there is a key, the server.

    Takes a millisecond, as the page asks with every run: nothing is loaded, verified or asked of the network.
    """
    bundled = [BUNDLED_RERANKER] if (BUNDLED_FOLDER / "secondlook.json").is_file() else []
    cached = [name for name, spec in RERANKERS.items() if hub.cached(name, spec.revision)]
    cohere = [f"{COHERE}:{model}" for model in COHERE_MODELS] if access.cohere_key else []
    server = [full_name(SERVER, access)] if access.url else []
    return [*bundled, LATE_INTERACTION, *named_rerankers(), *cached, *cohere, *server]


def full_name(name: str, access: ServiceAccess) -> str:
    """The name that a reranker has in lists, for one of its aliases; a folder's or an unknown one as it is."""
    name = RERANKER_ALIASES.get(name, name)
    try:
        served = served_model(name, access)
    except ModelError:  # a server without an address is refused when it is used
        return name
    return served.name if served else name
