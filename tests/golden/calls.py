"""Calls of the command line, in an order in which each finds what it needs, and the small world that they are made in.

The command line is entered where `secondlook` enters it, so that nothing here knows what stands behind.
"""

from __future__ import annotations

import json
from pathlib import Path

# Far apart, so that no order hangs on the last places of a score, which differ between processors.
FLOODS = "Floods\n\nThe bank of a river floods in spring, when the snow of the mountains melts.\n"
DOCUMENTS = {
    "constrictors.md": "# Constrictors\n\nA boa is a snake that kills without venom: it coils around its prey.\n",
    "cobras.txt": "Cobras\n\nThe bite of a cobra stops the nerves from working within an hour.\n",
    "dictionaries.txt": "Dictionaries in Python\n\nA dictionary finds a value by its key; a list has an order.\n",
    "lease.html": "<h1>Office lease</h1><p>The tenant may end the lease early, with six months' notice.</p>",
    "floods.txt": FLOODS,
    "deposits.txt": "Deposits\n\nMoney in a bank is guaranteed up to 100,000 euros for each customer.\n",
    "again.txt": FLOODS,
    "empty.txt": "",
}
# Questions, and the documents that answer them.
JUDGED = {
    "which snake kills without venom?": "constrictors.md",
    "how does a snake kill its prey?": "cobras.txt",  # the other one comes first
    "look a value up by its key": "dictionaries.txt",
    "when may the tenant leave early?": "lease.html",
    "is it wet at the bank?": "floods.txt",
    "is my money safe in the bank?": "deposits.txt",
}
BRIEFLY = "--base base --encoder base --steps 2 --questions 2 --validate-every 2 --max-length 64 --name tiny"
TWO = "--reranker bundled --reranker maxsim"
QUESTION = "which snake kills without venom?"
RUN = "q1 Q0 constrictors.md 1 {} a\nq1 Q0 cobras.txt 2 0.5 a\nq2 Q0 lease.html 1 {} a\nq2 Q0 cobras.txt 2 0.5 a\n"

# A name for each, which its file has, and what stands after `secondlook`.
CALLS: dict[str, str] = {
    "ingest": "ingest files --library library --allow-services",
    "ingest_unchanged": "ingest files --library library --json",
    "documents": "documents --library library",
    "documents_json": "documents --library library --json",
    "search": f"search '{QUESTION}' --library library --top-k 3",
    "search_json": f"search '{QUESTION}' --library library --json",
    "search_words": "search 'bank venom' --library library --candidates-from both --top-k 3",
    "search_words_json": "search 'bank venom' --library library --candidates-from both --fuse rrf --json",
    "search_threshold": f"search '{QUESTION}' --library library --threshold 0.07 --top-k 3",
    "models": "models",
    "models_json": "models --json",
    "models_prefetch": "models prefetch bundled no/such-model",
    "evaluate": "evaluate judged",
    "evaluate_json": "evaluate judged --json",
    "evaluate_several": "evaluate judged --rerankers bundled --depths 2,6 --fusion --plot plot.svg",
    "evaluate_several_json": "evaluate judged --rerankers bundled --depths 2,6 --fusion --json",
    "evaluate_first_looks": "evaluate judged --candidates-from vectors,words,both --rerankers none",
    "evaluate_first_looks_json": "evaluate judged --candidates-from vectors,words,both --rerankers none --json",
    "evaluate_runs": "evaluate --qrels trec.txt --run one.run --run two.run",
    "evaluate_runs_json": "evaluate --qrels trec.txt --run one.run --run two.run --json",
    "labels_none": "labels --library library",
    "labels_import_unknown": "labels import judged --library library",
    "labels_import": "labels import labelled --library library",
    "labels_import_json": "labels import labelled --library library --json",
    "labels": "labels --library library",
    "labels_json": "labels list --library library --json",
    "labels_verdict": "labels verdict --library library --ask",
    "labels_verdict_json": "labels verdict --library library --json",
    "labels_export": "labels export labels --library library",
    "labels_export_json": "labels export labels-again --library library --json",
    "calibrate": "calibrate judged --split test --library apart --dry-run",
    "calibrate_json": "calibrate judged --split test --library apart --json",
    "calibrate_labels": "calibrate --library library",
    "calibrate_labels_json": "calibrate --library library --json",
    "search_calibrated": f"search '{QUESTION}' --library library --top-k 3",
    "original": "original Cobras cobras-again.txt --library library",
    "doctor": "doctor --library library",
    "doctor_json": "doctor --library library --json",
    "doctor_repair": "doctor --library library --repair",
    "export": "export library.zip --library library",
    "export_json": "export again.zip --library library --no-vectors --json",
    "import": "import library.zip --library copy",
    "import_json": "import library.zip --library copy-again --json",
    "delete": "delete Cobras --library copy",
    "delete_unknown": "delete Cobras --library copy",
    "rebuild": "rebuild --library copy --chunk-tokens 64",
    "token_vectors": "ingest files --library library --token-vectors",
    "search_two": f"search '{QUESTION}' --library library --top-k 3 {TWO}",
    "search_two_json": f"search '{QUESTION}' --library library --json {TWO}",
    "search_fused": f"search '{QUESTION}' --library library --top-k 3 {TWO} --fuse-rerankers rrf",
    "search_fused_json": f"search '{QUESTION}' --library library --json {TWO} --fuse-rerankers rrf",
    "train": f"train training --output trained {BRIEFLY}",
    "train_json": f"train training --output trained-again --json {BRIEFLY}",
    "password": "password password-file",
    "serve_no_port": "serve --port 0 --library library",
    "no_library": "search anything --library nowhere",
    "no_command": "frobnicate",
    "version": "--version",
}  # fmt: skip


def write_world(folder: Path) -> None:
    """The files that the calls name."""
    for place in ("files", "judged/documents", "judged/qrels", "labelled/qrels"):
        (folder / place).mkdir(parents=True)
    for name, text in DOCUMENTS.items():
        (folder / "files" / name).write_text(text, encoding="utf-8")
        if name in JUDGED.values():
            (folder / "judged" / "documents" / name).write_text(text, encoding="utf-8")
    queries = [{"_id": f"q{number}", "text": question} for number, question in enumerate(JUDGED, 1)]
    answers = list(JUDGED.values())
    rows = []
    for number, answer in enumerate(answers, 1):
        others = [answers[(number + far) % len(answers)] for far in range(2)]
        rows += [f"q{number}\t{name}\t{2 * (name == answer)}\n" for name in (answer, *others)]
    for place in ("judged", "labelled"):
        (folder / place / "queries.jsonl").write_text("".join(json.dumps(query) + "\n" for query in queries))
        (folder / place / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(rows))
    # The passages themselves, as a document is one passage here; but not the one that is HTML.
    corpus = [
        {
            "_id": name,
            "title": DOCUMENTS[name].splitlines()[0].removeprefix("# "),
            "text": DOCUMENTS[name].removeprefix("# ").strip(),
        }
        for name in answers
    ]
    (folder / "labelled" / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in corpus))
    trec = [f"q{number} 0 {answer} 1\n" for number, answer in enumerate(answers, 1)]
    (folder / "trec.txt").write_text("".join(trec))
    (folder / "one.run").write_text(RUN.format(0.9, 0.9))
    (folder / "two.run").write_text(RUN.format(0.1, 0.1))


def write_models(folder: Path) -> None:
    """What `train` begins with; apart, because it loads torch."""
    from tests.parts.training_parts import tiny_bi_encoder, write_set

    tiny_bi_encoder(folder / "base")
    write_set(folder / "training")
