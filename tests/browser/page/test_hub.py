"""The first start of a machine with a network: `make run` with empty caches brings the hub's pair, and it answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import PATIENCE, wait_until_answered
from tests.parts.published import BGE, MAKE, MS_MARCO, publish, repository_of
from tests.parts.stand_in_hub import stand_in_hub

pytestmark = pytest.mark.browser

QUESTION = "which snake kills without venom?"


def test_the_first_start_brings_the_default_pair_and_answers_with_it(
    serve: Callable[..., str], open_page: Callable[..., Any], tmp_path: Path
) -> None:
    with stand_in_hub() as hub:
        for name in (BGE, MS_MARCO):
            publish(hub, name, repository_of(MAKE[name](tmp_path / name)))
        settings = {"LIBRARY": str(tmp_path / "library"), "ENCODER": "", "RERANKER": "", "DOWNLOADS": "1"}
        caches = {"HF_HOME": str(tmp_path / "hf"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
        caches["HF_HUB_CACHE"] = str(tmp_path / "hf" / "hub")
        network = {"HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0"}
        env = {f"SECONDLOOK_{name}": value for name, value in settings.items()} | caches | network
        address = serve(None, env=env, sample=True)
        page = open_page(f"{address}/?q={QUESTION}", idle=False)
        wait_until_answered(page, QUESTION)
        page.get_by_text("bge-small-en-v1.5 (hub cache) → ms-marco-MiniLM-L-6-v2 (hub)").wait_for(
            timeout=PATIENCE
        )
        page.get_by_text("about these models").wait_for(timeout=PATIENCE)
        assert hub.requests.count("HEAD /") == 2, "once for each model of the pair"
        hub.requests.clear()
        again = open_page(f"{address}/?q=how+do+boas+hunt", idle=False)
        wait_until_answered(again, "how do boas hunt")
        assert hub.requests == []
