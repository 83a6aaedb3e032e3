"""The list of rerankers, and the settings that give access to services."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.models.encoders import DEFAULT_ENCODER, ENCODERS
from ingest.models.hub import Hub
from ingest.services.access import ServiceAccess
from rerank.registry import DEFAULT_RERANKER, RERANKERS
from ui.command_line.main import build_parser, main
from ui.command_line.models import known_encoders, known_rerankers, model_table
from ui.settings import Settings, from_environment

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
    table = model_table("reranker", rows)
    (line,) = [line for line in table.splitlines() if "bge-reranker-v2-m3" in line]
    for word in ("568 M", "8192", "over 100 languages", "Apache-2.0", "to be fetched"):
        assert word in line
    (ours,) = [row for row in rows if row["name"] == "second-look-reranker"]
    assert ours["parameters"] == 22.7, "as many as the encoder that it was trained from"
    here = [row["name"] for row in rows if row["place"] == "on this machine" and not row["parameters"]]
    assert not here, "a model of this machine without its size"
    assert "COHERE_API_KEY is not set" in table
    assert max(map(len, table.splitlines())) < 200


def test_the_list_says_what_is_set_up_and_never_the_keys() -> None:
    access = ServiceAccess("http://localhost:8000", "bge", "secret-1", "secret-2")
    rows = known_rerankers(OFFLINE, access)
    assert rows[-1]["place"] == "http://localhost:8000/v1/rerank"
    assert "its key is set" in model_table("reranker", rows)
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


def test_keys_stand_in_streamlits_secrets_where_the_environment_has_none() -> None:
    secrets = {
        "OPENAI_API_KEY": "secret-1",
        "COHERE_API_KEY": "secret-2",
        "SECONDLOOK_EMBED_KEY": {"not": "a key"},
    }
    services = from_environment({"OPENAI_API_KEY": "", "COHERE_API_KEY": "mine"}, secrets).services
    assert (services.openai_key, services.cohere_key, services.embed_key) == ("secret-1", "mine", "")


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("", set()), ("0", set()), ("no", set()), ("1", {"*"}), ("Yes", {"*"}), ("*", {"*"}),
        ("api.cohere.com, API.openai.com", {"api.cohere.com", "api.openai.com"}),
    ],
)  # fmt: skip
def test_where_text_may_be_sent_is_said_by_host_or_for_all(text: str, hosts: set[str]) -> None:
    assert from_environment({"SECONDLOOK_ALLOW_SERVICES": text}).services.allowed == hosts
    assert build_parser(Settings()).parse_args(["search", "x", "--allow-services"]).allow_services


def test_encoders_are_listed_too() -> None:
    table = model_table("encoder", known_encoders(OFFLINE, ServiceAccess(openai_key="secret-1")))
    (line,) = [line for line in table.splitlines() if "multilingual-e5-base" in line]
    for word in ("278 M", "512", "about 100 languages", "MIT", "to be fetched"):
        assert word in line
    (line,) = [line for line in table.splitlines() if "text-embedding-3-small" in line]
    assert "its key is set" in line
    assert "SECONDLOOK_EMBED_URL is not set" in table
    assert "secret" not in table


def test_prefetch_takes_names_of_both_kinds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def download(hub: Hub, name: str, revision: str | None) -> tuple[Path | None, str]:
        asked.append(f"{name}@{revision}")
        return (tmp_path, "") if "large" not in name else (None, "the download failed (a test)")

    monkeypatch.setattr("ingest.models.hub._ask", lambda endpoint: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(Hub, "download", download)
    monkeypatch.setattr(Hub, "cached", lambda hub, name, revision: None)
    names = ["bge-reranker-base", "e5-base-v2", "bundled", "cohere", "text-embedding-3-small"]
    assert main(["models", "prefetch", *names]) == 0
    wanted = [RERANKERS["BAAI/bge-reranker-base"], ENCODERS["intfloat/e5-base-v2"]]
    assert asked == [f"{spec.name}@{spec.revision}" for spec in wanted]
    assert capsys.readouterr().err.count("nothing to fetch, it is a service") == 2
    assert main(["models", "prefetch", "bge-reranker-large", "bge-reranker-base"]) == 1
    assert asked[-1].startswith("BAAI/bge-reranker-base"), "one that fails does not stop the others"
    assert main(["models", "prefetch"]) == 0
    assert [name.partition("@")[0] for name in asked[-2:]] == [DEFAULT_ENCODER, DEFAULT_RERANKER]
