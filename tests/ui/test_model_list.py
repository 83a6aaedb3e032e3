"""The list of rerankers, and the settings that give access to services."""

from __future__ import annotations

from ingest.hub import Hub
from rerank.models import RERANKERS
from rerank.scorers import ServiceAccess
from ui.model_list import known_rerankers, reranker_table
from ui.settings import from_environment

OFFLINE = Hub(allow_downloads=False)


def test_the_list_names_every_reranker_with_licence_size_languages_and_length() -> None:
    rows = known_rerankers(OFFLINE, ServiceAccess())
    assert {row["name"] for row in rows} >= {
        *RERANKERS,
        "second-look-reranker",
        "maxsim",
        "cohere:rerank-v3.5",
        "server",
    }
    table = reranker_table(rows)
    (line,) = [line for line in table.splitlines() if "bge-reranker-v2-m3" in line]
    for word in ("568 M", "8192", "over 100 languages", "Apache-2.0", "to be fetched"):
        assert word in line
    assert "COHERE_API_KEY is not set" in table
    assert max(map(len, table.splitlines())) < 200


def test_the_list_says_what_is_set_up_and_never_the_keys() -> None:
    access = ServiceAccess("http://localhost:8000", "bge", "secret-1", "secret-2")
    rows = known_rerankers(OFFLINE, access)
    assert rows[-1]["place"] == "http://localhost:8000/v1/rerank"
    assert "its key is set" in reranker_table(rows)
    assert "secret" not in repr(rows)


def test_access_to_services_comes_from_the_environment() -> None:
    settings = from_environment(
        {
            "SECONDLOOK_RERANK_URL": "http://localhost:8000",
            "SECONDLOOK_RERANK_MODEL": "bge",
            "SECONDLOOK_RERANK_KEY": " secret-1\n",
            "CO_API_KEY": "secret-2",
        }
    )
    expected = ServiceAccess("http://localhost:8000", "bge", "secret-1", "secret-2", "https://api.cohere.com")
    assert settings.services == expected
    assert "secret" not in repr(settings)
    assert from_environment({"COHERE_API_KEY": "a", "CO_API_KEY": "b"}).services.cohere_key == "a"
