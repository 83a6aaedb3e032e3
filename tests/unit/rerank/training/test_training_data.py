"""What training is fed: the split, the miner, the sampler, and what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ingest.errors import DamagedFileError, UsageError
from rerank.training.data import Entry, LabelledSet, Query, read_labelled_set
from rerank.training.lexical import BM25
from rerank.training.mining import NEAR_DUPLICATE, mine, opening, title_queries
from rerank.training.preparation import Plan, prepare_data
from rerank.training.sampling import Mixture, Sampler
from rerank.training.split import split_by_document
from rerank.training.windows import best_window, keyword_query
from tests.parts.training_parts import HashEncoder, write_set


@pytest.fixture
def labelled(tmp_path: Path) -> LabelledSet:
    return read_labelled_set(write_set(tmp_path / "facts"))


def test_the_held_out_side_shares_no_document_and_no_title_with_training(labelled: LabelledSet) -> None:
    split = split_by_document(labelled, 0.25, seed=3)
    trained = {name for query in split.train for name in query.grades}
    held = {name for query in split.held_out for name in query.grades}
    titles = [{labelled.documents[name].title for name in side} for side in (trained, held)]
    assert len(split.train) + len(split.held_out) == len(labelled.queries)
    assert held <= split.held_out_documents
    assert not trained & split.held_out_documents
    assert not titles[0] & titles[1]


def test_queries_that_share_a_document_are_never_cut_apart(labelled: LabelledSet) -> None:
    chain = Query("chain", "what of both", {"python-colour": 1, "apple-price": 1})
    for seed in range(8):
        split = split_by_document(replace(labelled, queries=(*labelled.queries, chain)), 0.3, seed)
        assert ("python-colour" in split.held_out_documents) == ("apple-price" in split.held_out_documents)


def test_the_miner_returns_no_positive_no_near_duplicate_and_nothing_held_out(labelled: LabelledSet) -> None:
    twin = labelled.documents["crane-home"]
    documents = {**labelled.documents, "twin": twin, "near": Entry(twin.title, twin.text + " Indeed .")}
    labelled = replace(labelled, documents=documents)
    allowed = frozenset(documents) - {"bat-home"}
    encoder = HashEncoder()
    query = next(q for q in labelled.queries if q.id == "q-crane-home")
    cosine = encoder.passages([opening(twin)]) @ encoder.passages([opening(documents["near"])]).T
    assert cosine[0, 0] >= NEAR_DUPLICATE
    (mined,) = mine(labelled, [query], allowed, encoder, depth=30)
    assert mined.positives == ("crane-home",)
    assert len(mined.negatives) >= 20
    assert not {"crane-home", "twin", "near", "bat-home"} & set(mined.negatives)


def test_the_same_question_asked_twice_shares_its_answers(labelled: LabelledSet) -> None:
    queries = [
        Query("1", "What lives here?", {"bat-home": 1}),
        Query("2", "what lives here", {"mint-home": 1}),
    ]
    mined = mine(labelled, queries, frozenset(labelled.documents), HashEncoder(), depth=50)
    assert all(not {"bat-home", "mint-home"} & set(found.negatives) for found in mined)


def test_bm25_scores_a_text_by_its_rare_words_as_the_formula_says() -> None:
    scores = BM25(["piano key", "piano piano door", "the of", ""]).scores(["a piano", "key", "nothing known"])
    # "piano" is in 2 of the 4 texts, whose mean length is 5 / 4 words that tell anything.
    rarity, norm = math.log(1 + 2.5 / 2.5), 1.2 * (0.25 + 0.75 * 2 / 1.25)
    assert scores[0, 0] == pytest.approx(rarity * 2.2 / (1 + norm), rel=1e-5)
    assert scores[0, 1] > scores[0, 0], "twice in a text counts for more than once"
    assert scores[1].tolist()[1:] == [0, 0, 0]
    assert not scores[2].any()


def test_the_miner_finds_by_words_what_the_bi_encoder_does_not(labelled: LabelledSet) -> None:
    near = {f"near-{n}": Entry("", f"what is the home of bat number {n}") for n in range(60)}
    words = {"first": Entry("", "xylophone " * 40), "by-words": Entry("", "xylophone " * 40 + "hall")}
    labelled = replace(labelled, documents={**labelled.documents, **near, **words})
    query = Query("1", "what is the home of bat xylophone", {"bat-home": 1})
    allowed = frozenset(labelled.documents)
    (mined,) = mine(labelled, [query], allowed, HashEncoder(), depth=200)
    assert "by-words" in mined.negatives
    by_vectors = (
        HashEncoder().passages([e.text for e in near.values()]) @ HashEncoder().queries([query.text])[0]
    )
    far = HashEncoder().passages([words["by-words"].text]) @ HashEncoder().queries([query.text])[0]
    assert (by_vectors > far).all(), "the bi-encoder alone has 60 documents before it"


def test_ranks_bound_what_is_mined_and_none_leaves_judged_ones_only(labelled: LabelledSet) -> None:
    query = next(q for q in labelled.queries if q.id == "q-crane-home")
    judged = replace(query, not_relevant=("mint-home",))
    allowed, encoder = frozenset(labelled.documents), HashEncoder()
    (whole,) = mine(labelled, [query], allowed, encoder, depth=90)
    (deeper,) = mine(labelled, [query], allowed, encoder, depth=90, ranks=(6, 9))
    assert set(deeper.negatives) < set(whole.negatives)
    assert len(deeper.negatives) <= 8
    (given,) = mine(labelled, [judged], allowed, encoder, depth=90, ranks=None)
    assert (given.negatives, given.judged) == ((), ("mint-home",))
    assert mine(labelled, [query], allowed, encoder, depth=90, ranks=None) == []


def test_hard_negatives_of_a_set_are_read_as_judged_and_change_its_hash(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "facts")
    before = read_labelled_set(folder)
    lines = [
        "query-id\tcorpus-id\tscore",
        "q-bat-home\tmint-home\t",
        "q-bat-home\tbat-home\t",
        "q-bat-home\tno\t",
    ]
    (folder / "hard-negatives.tsv").write_text("\n".join(lines), encoding="utf-8")
    after = read_labelled_set(folder)
    (query,) = [query for query in after.queries if query.id == "q-bat-home"]
    assert query.not_relevant == ("mint-home",), (
        "a positive stays one, and what is not in the corpus is passed over"
    )
    assert query.grades == {"bat-home": 1}
    assert after.sha256 != before.sha256
    (folder / "hard-negatives.tsv").write_text("q-bat-home mint-home\n", encoding="utf-8")
    with pytest.raises(DamagedFileError, match="Line 1 of"):
        read_labelled_set(folder)


def test_shares_say_how_often_a_set_is_dealt(labelled: LabelledSet, tmp_path: Path) -> None:
    other = read_labelled_set(write_set(tmp_path / "others"))
    prepared = prepare_data([labelled, other], HashEncoder(), Plan(validation=8, gate=8), lambda _: None)
    few = replace(
        prepared.sources[1],
        mined=tuple(replace(m, text=f"others: {m.text}") for m in prepared.sources[1].mined[:5]),
    )
    mixture = Mixture(groups=1, keywords=0.0, shares={"others": 0.25})
    sampler = Sampler([prepared.sources[0], few], mixture, seed=1)
    asked = [sampler.step(number)[0].query for number in range(2 * len(sampler))]
    of_others = [query for query in asked if query.startswith("others: ")]
    assert len(of_others) == pytest.approx(len(asked) / 4, abs=2)
    counts = [of_others.count(mined.text) for mined in few.mined]
    assert max(counts) - min(counts) <= 1, "each comes once before one comes again"


def test_titles_become_queries_with_all_their_documents(labelled: LabelledSet) -> None:
    found = title_queries(labelled, frozenset(labelled.documents) - {"java-price"}, limit=50, seed=0)
    grades = {query.text: set(query.grades) for query in found}
    assert len(found) == 12
    assert grades["java"] == {"java-colour", "java-weight", "java-home"}


def test_a_step_is_a_function_of_seed_and_number(labelled: LabelledSet) -> None:
    prepared = prepare_data([labelled], HashEncoder(), Plan(validation=4, gate=4), lambda _: None)
    one, other = (Sampler(prepared.sources, Mixture(groups=3), seed=5) for _ in range(2))
    forwards = [one.step(number) for number in range(40)]
    backwards = [other.step(number) for number in reversed(range(40))]
    assert forwards == backwards[::-1]
    assert forwards != [Sampler(prepared.sources, Mixture(groups=3), seed=6).step(n) for n in range(40)]
    assert all(len(group.passages) == 5 for step in forwards for group in step)


def test_an_epoch_deals_every_query_once(labelled: LabelledSet) -> None:
    prepared = prepare_data([labelled], HashEncoder(), Plan(validation=4, gate=4), lambda _: None)
    sampler = Sampler(prepared.sources, Mixture(groups=1, keywords=0.0), seed=1)
    asked = [sampler.step(number)[0].query for number in range(len(sampler))]
    assert sorted(asked) == sorted(mined.text for mined in prepared.sources[0].mined)


def test_what_is_chosen_by_and_what_is_judged_by_share_no_query(labelled: LabelledSet) -> None:
    prepared = prepare_data([labelled], HashEncoder(), Plan(held_out_share=0.4, gate=30), lambda _: None)
    chosen, judged = ({case.query for case in side} for side in (prepared.validation, prepared.gate))
    trained = {mined.text for source in prepared.sources for mined in source.mined}
    assert chosen
    assert judged
    assert not chosen & judged
    assert not (chosen | judged) & trained


def test_of_an_unseen_set_nothing_is_trained_on(labelled: LabelledSet, tmp_path: Path) -> None:
    other = read_labelled_set(write_set(tmp_path / "others"))
    plan = Plan(validation=8, gate=8, unseen=("others",))
    prepared = prepare_data([labelled, other], HashEncoder(), plan, lambda _: None)
    assert [source.labelled.name for source in prepared.sources] == ["facts"]
    assert {case.set_name for case in prepared.validation} == {"facts", "others"}
    assert {case.set_name for case in prepared.gate} == {"facts", "others"}


def test_a_group_carries_the_cosines_of_its_own_passages(labelled: LabelledSet) -> None:
    encoder = HashEncoder()
    prepared = prepare_data([labelled], encoder, Plan(validation=4, gate=4), lambda _: None)
    whole = Mixture(groups=1, keywords=0.0, short_steps=0.0, untitled=0.0)
    texts = [group for n in range(30) for group in Sampler(prepared.sources, whole, seed=2).step(n)]
    titled = [group for group in texts if all("\n" in passage for passage in group.passages)]
    assert titled
    for group in titled:
        expected = encoder.passages(list(group.passages)) @ encoder.queries([group.query])[0]
        assert group.cosines == pytest.approx(expected.tolist(), abs=1e-5)


def test_a_cloze_question_is_a_sentence_that_its_passage_no_longer_holds(labelled: LabelledSet) -> None:
    long = (
        "The heron stands in shallow water at dawn. It waits for an hour or more. Then it strikes at a fish."
    )
    documents = {name: Entry(entry.title, long) for name, entry in labelled.documents.items()}
    documents |= {"bat-home": labelled.documents["bat-home"]}
    labelled = replace(labelled, documents=documents)
    prepared = prepare_data([labelled], HashEncoder(), Plan(validation=4, gate=4), lambda _: None)
    sampler = Sampler(prepared.sources, Mixture(groups=1, cloze=1.0, keywords=0.0, short_steps=0.0), seed=4)
    groups = [sampler.step(number)[0] for number in range(20)]
    taken = [group for group in groups if group.query in long]
    assert taken
    assert all(group.query not in group.passages[0] for group in taken)


def test_the_window_is_where_the_rare_words_of_the_query_are() -> None:
    text = "The first is about nothing. Venom kills quickly. The last is about nothing much."
    rarity = {"venom": 5.0, "about": 0.1}
    assert best_window("what about venom", text, 1, 50, rarity) == "Venom kills quickly."


@pytest.mark.parametrize(
    ("question", "keywords"),
    [
        ("What is the price of gold in Peru?", "price gold Peru"),
        ("who was he", "who was he"),
        ("Why?", "Why?"),
    ],
)
def test_keyword_queries(question: str, keywords: str) -> None:
    assert keyword_query(question) == keywords


def test_a_folder_in_another_layout_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"corpus\.jsonl"):
        read_labelled_set(tmp_path)


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "facts")
    with (folder / "corpus.jsonl").open("a", encoding="utf-8") as out:
        out.write("\n{not json\n")
    with pytest.raises(DamagedFileError, match="Line 49 of"):
        read_labelled_set(folder)


def test_labels_of_unknown_documents_are_no_labels(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "facts")
    labels = "query-id\tcorpus-id\tscore\nq-bat-home\tnowhere\t1\n"
    (folder / "qrels" / "train.tsv").write_text(labels, encoding="utf-8")
    with pytest.raises(UsageError, match="no query with a relevant document"):
        read_labelled_set(folder)


def test_a_set_too_small_to_hold_anything_out_is_refused(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "facts")
    first = json.loads((folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()[0])
    (folder / "queries.jsonl").write_text(json.dumps(first), encoding="utf-8")
    with pytest.raises(UsageError, match="too little to train on"):
        prepare_data([read_labelled_set(folder)], HashEncoder(), Plan(), lambda _: None)


def test_openings_are_what_the_product_reads(labelled: LabelledSet) -> None:
    assert opening(labelled.documents["bat-home"]).startswith("bat\nThis is about bat .")
    assert np.allclose(np.linalg.norm(HashEncoder().passages(["a b"]), axis=1), 1.0)
