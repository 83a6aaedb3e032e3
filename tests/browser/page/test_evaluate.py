"""The Evaluate view in a real browser with the real bundled models: a tiny dataset ends in a verdict and a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import ROOT, wait_until_idle
from tests.parts.datasets import lines, packed

pytestmark = pytest.mark.browser

PATIENCE = 180_000  # milliseconds; loading the models on a busy machine takes most of it
CORPUS = {
    "ferry": "The ferry to the island does not sail in a north wind.",
    "light": "The lighthouse has two hundred and three steps.",
    "tide": "The harbour falls dry at low tide, twice a day.",
}
QUERIES = {"q1": "when does the boat stay in port?", "q2": "how high is the tower on the coast?"}
QRELS = "query-id\tcorpus-id\tscore\nq1\tferry\t2\nq2\tlight\t1\n"


def test_a_dataset_ends_in_a_verdict_and_a_file(
    serve: Callable[..., str], open_page: Callable[..., Any], tmp_path: Path
) -> None:
    settings = {"LIBRARY": str(tmp_path / "library"), "ENCODER": "", "RERANKER": "", "DOWNLOADS": "0"}
    address = serve(ROOT / "app.py", env={f"SECONDLOOK_{name}": value for name, value in settings.items()})
    archive = tmp_path / "harbour.zip"
    archive.write_bytes(
        packed({"corpus.jsonl": lines(CORPUS), "queries.jsonl": lines(QUERIES), "qrels/test.tsv": QRELS})
    )
    page = open_page(address)
    page.get_by_role("radio", name="Evaluate").click()
    page.wait_for_function("new URL(location).searchParams.get('view') === 'Evaluate'", timeout=PATIENCE)
    page.get_by_role("radio", name="A dataset").click(timeout=PATIENCE)
    page.locator("[data-testid='stMain'] input[type='file']").set_input_files(archive, timeout=PATIENCE)
    page.get_by_text("harbour: 2 judged questions in test").wait_for(timeout=PATIENCE)
    page.get_by_test_id("stButton").get_by_role("button", name="Evaluate").click()
    page.get_by_text("2 questions cannot speak for others; judge more.").wait_for(timeout=PATIENCE)
    wait_until_idle(page)
    assert page.get_by_text("Undecided:").is_visible()
    assert page.locator(".figures tbody tr").count() == 2
    picture = page.locator(".st-key-frontier img")  # fetched after the page has been drawn
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth > 0)")

    with page.expect_download() as download:
        page.get_by_role("button", name="All as JSON").click()
    report = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert (report["dataset"], report["queries"], report["documents"]) == ("harbour", 2, 3)
    assert report["verdict"] == "undecided"
    assert report["models"]["reranker"] == "second-look-reranker"

    page.get_by_role("radio", name="Search").click()
    page.get_by_text("There is no library yet").wait_for(timeout=PATIENCE)
    page.get_by_role("radio", name="Evaluate").click()
    page.get_by_text("2 questions cannot speak for others; judge more.").wait_for(timeout=PATIENCE)

    page.go_back()
    page.get_by_text("There is no library yet").wait_for(timeout=PATIENCE)
    assert page.get_by_role("radio", name="Search").is_checked()
    page.go_forward()
    page.get_by_text("2 questions cannot speak for others; judge more.").wait_for(timeout=PATIENCE)
    page.wait_for_function("new URL(location).searchParams.get('view') === 'Evaluate'", timeout=PATIENCE)
