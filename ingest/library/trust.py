"""Which models a library may have loaded by naming them: known ones, and those that a person of this machine allowed.

A library may come from anybody. Its manifest names the model that made it, which is fetched and loaded when it is
asked; so a name that is neither bundled nor on our list needs a yes. What was allowed is remembered for the user, on
this machine, and in no library, which could else bring its own leave along. Naming a model oneself is a yes.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection
from pathlib import Path

from ingest.errors import LibraryDamagedError, TrustNeededError
from ingest.installation import user_data
from ingest.library.library import Library
from ingest.models.encoders import ENCODER_ALIASES, ENCODERS
from ingest.models.folder.json_files import shown
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from ingest.models.served import is_served_name
from ingest.models.spec import ResolvedModel
from ingest.notices import Help, Remedy
from ingest.services.access import ServiceAccess

LONGEST_NAME = 1000
KNOWN_ENCODERS = frozenset({*ENCODERS, *ENCODER_ALIASES})
_HUB_NAME = re.compile(r"[A-Za-z0-9_][\w.-]*(/[\w.-]+)?", re.ASCII)
_allowed_now = set[str]()


def is_known(name: str, known: Collection[str] = KNOWN_ENCODERS) -> bool:
    """Whether a model of that name is bundled, on our list, or behind a service, which needs a leave of its own."""
    return name in known or is_served_name(name)


def name_fault(name: object) -> str:
    """What is wrong with the name of a model in a library, as a clause; empty where nothing is.

    A folder is named as a whole: another's would be looked for wherever one works.
    """
    if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_NAME:
        return "it names no model"
    if is_known(name) or Path(name).is_absolute() or _HUB_NAME.fullmatch(name):
        return ""
    return f"it names its model by a folder that is not named from the root: “{shown(name)}”"


def encoder_of_library(
    library: Library, asked: str | None, hub: Hub, access: ServiceAccess | None, trusting: bool
) -> ResolvedModel:
    """The encoder that a person ``asked`` for, else the one that the library names.

    ``trusting`` is the leave to load the latter whatever it is, for good. Raises `TrustNeededError` where it takes one,
    `LibraryDamagedError` for a name that is none, and else as `resolve_encoder`.
    """
    if asked is not None:
        return encoder_asked_for(asked, hub, access)
    name = library.manifest().encoder
    if fault := name_fault(name):
        raise LibraryDamagedError(
            f"The library {library.folder} cannot be used: {fault}. Name its encoder.",
            Help(Remedy.CHOOSE, subject="encoder"),
        )
    require_trust(name, library.folder, trusting)
    return resolve_encoder(name, hub, access, relative=False)


def encoder_asked_for(name: str, hub: Hub, access: ServiceAccess | None) -> ResolvedModel:
    """The encoder that a person named; libraries that it makes may name it from now on. Raises as `resolve_encoder`."""
    model = resolve_encoder(name, hub, access)
    allow(model.name)
    return model


def require_trust(
    name: str, folder: Path, trusting: bool = False, known: Collection[str] = KNOWN_ENCODERS
) -> None:
    """Raise `TrustNeededError` for a model that the library in ``folder`` names, and nobody here has allowed."""
    if is_known(name, known) or name in _allowed_now or name in _remembered():
        return
    if trusting:
        allow(name)
        return
    raise TrustNeededError(
        f"The library {folder} names the model {shown(name, 200)}, which is neither bundled nor on Second Look's list. "
        "Whoever made the library chose it. Load it only if you trust them.",
        name,
    )


def allow(name: str) -> None:
    """Remember that a person of this machine allowed libraries to name this model."""
    if is_known(name) or name in _remembered():
        return
    _allowed_now.add(name)  # and where nothing can be written, as long as this process lives
    path = _memory()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(sorted(_remembered() | {name})), encoding="utf-8")
        temporary.replace(path)
    except OSError:
        return


def _memory() -> Path:
    return user_data() / "trusted-models.json"


def _remembered() -> set[str]:
    try:
        names = json.loads(_memory().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()  # nothing was allowed, or it has to be again
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()
