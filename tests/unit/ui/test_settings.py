from __future__ import annotations

from pathlib import Path

import pytest

from ingest.errors import UsageError
from rerank.scorers.windowed import WHOLE
from ui.settings import DEFAULT_LIBRARY, from_environment


def test_the_environment_is_read_into_one_frozen_record() -> None:
    settings = from_environment(
        {
            "SECONDLOOK_LIBRARY": "/x/y",
            "SECONDLOOK_ENCODER": "bge-base",
            "SECONDLOOK_RERANKER": "",
            "SECONDLOOK_DOWNLOADS": "no",
            "SECONDLOOK_BUDGET_MS": " 300 ",
            "SECONDLOOK_ENGINE": "onnx-FP32",
            "SECONDLOOK_WINDOW": " Whole ",
            "SECONDLOOK_CANDIDATES_FROM": " Both ",
            "SECONDLOOK_FUSE": "weighted:0.3",
            "SECONDLOOK_FUSE_RERANKERS": " Weighted:0.5,0.3 ",
        }
    )
    assert settings.library == Path("/x/y")
    assert (settings.models.encoder, settings.models.reranker, settings.models.allow_downloads) == (
        "bge-base",
        None,
        False,
    )
    assert settings.budget_ms == 300
    assert settings.models.engine == "onnx-fp32"
    assert settings.models_at_once.window == WHOLE
    assert from_environment({"SECONDLOOK_WINDOW": "96"}).models.window == 96
    assert (settings.candidates_from, str(settings.fusion)) == ("both", "weighted:0.3")
    assert str(settings.ensemble) == "weighted:0.5,0.3"
    defaults = from_environment({})
    assert defaults.ensemble is None
    assert (defaults.library, defaults.candidates, defaults.results) == (DEFAULT_LIBRARY, 100, 10)
    assert defaults.models.allow_downloads
    assert defaults.budget_ms is None
    assert defaults.models.window is None
    assert (defaults.candidates_from, defaults.fusion) == ("vectors", None)


def test_a_value_that_cannot_be_read_is_said() -> None:
    with pytest.raises(UsageError, match="SECONDLOOK_DOWNLOADS is “maybe”"):
        from_environment({"SECONDLOOK_DOWNLOADS": "maybe"})
    with pytest.raises(UsageError, match="SECONDLOOK_CANDIDATES_FROM is “letters”; say vectors, words, both"):
        from_environment({"SECONDLOOK_CANDIDATES_FROM": "letters"})
    with pytest.raises(UsageError, match="“soon” is no time for the second look"):
        from_environment({"SECONDLOOK_BUDGET_MS": "soon"})
    with pytest.raises(UsageError, match="“mean” is no fusion of rerankers"):
        from_environment({"SECONDLOOK_FUSE_RERANKERS": "mean"})
    for size in ("15", "-3", "much"):
        with pytest.raises(UsageError, match=f"“{size}” is no size of a window"):
            from_environment({"SECONDLOOK_WINDOW": size})
