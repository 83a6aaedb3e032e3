"""``secondlook train`` from labelled folder to gated model, with a transformer of two small layers."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.errors import ModelDamagedError, UsageError
from ingest.models.hub import Hub
from rerank.factory import open_scorer
from rerank.judged.significance import paired_randomisation
from rerank.registry import reranker_spec_of_folder, resolve_reranker
from rerank.training.data import read_labelled_set
from rerank.training.evaluate import Case, measure, ndcg
from rerank.training.gate import fit_relevance, judge
from rerank.training.preparation import Plan, PreparedData, prepare_data
from rerank.training.sampling import Mixture, Sampler
from tests.parts.later import later
from tests.parts.training_parts import HashEncoder, tiny_bi_encoder, write_set
from ui.command_line.main import main
from ui.command_line.options import record_of
from ui.command_line.train_arguments import TrainArguments, add_train_arguments

torch = later("torch")
CrossEncoder = later("sentence_transformers", "CrossEncoder")
below, read_checkpoint = later("rerank.training.checkpoint", "below", "read_checkpoint")
loop = later("rerank.training.loop")
Progress, Schedule, Trainer = later("rerank.training.loop", "Progress", "Schedule", "Trainer")
load_base, score_pairs = later("rerank.training.model", "load_base", "score_pairs")
run_train = later("ui.command_line.train", "run_train")

STEPS = 6


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bi_encoder(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("sets") / "facts")


@pytest.fixture(scope="module")
def prepared(dataset: Path) -> PreparedData:
    return prepare_data(
        [read_labelled_set(dataset)], HashEncoder(), Plan(validation=6, gate=6), lambda _: None
    )


def train(
    base: Path, prepared: PreparedData, folder: Path, stop_after: int = STEPS, seed: int = 0
) -> Trainer:
    schedule = Schedule(STEPS, 1e-3, 2, max_length=64, validate_every=3, checkpoint_every=2)
    sampler = Sampler(prepared.sources, Mixture(groups=2), seed)
    torch.manual_seed(seed)
    trainer = Trainer(load_base(base, 64), sampler, prepared.validation, schedule, folder)
    trainer.run(lambda: trainer.step >= stop_after, lambda _: None)
    return trainer


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return below("weights", read_checkpoint(folder / loop.STATE)[0])


def moments(folder: Path) -> dict[str, torch.Tensor]:
    return below("optimiser", read_checkpoint(folder / loop.STATE)[0])


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_that_was_stopped_ends_where_the_unbroken_one_does(
    base: Path, prepared: PreparedData, tmp_path: Path
) -> None:
    whole = train(base, prepared, tmp_path / "whole")
    train(base, prepared, tmp_path / "broken", stop_after=3)
    assert not same(weights(tmp_path / "whole"), weights(tmp_path / "broken"))
    resumed = train(base, prepared, tmp_path / "broken")
    assert resumed.step == whole.step == STEPS
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "broken"))
    assert {name.split("/")[1] for name in moments(tmp_path / "whole")} == {"step", "exp_avg", "exp_avg_sq"}
    assert same(moments(tmp_path / "whole"), moments(tmp_path / "broken"))
    assert resumed.history == whole.history
    assert resumed.pairs == whole.pairs


def test_the_seed_decides_everything(base: Path, prepared: PreparedData, tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        train(base, prepared, tmp_path / name, seed=seed)
    assert same(weights(tmp_path / "one"), weights(tmp_path / "again"))
    assert not same(weights(tmp_path / "one"), weights(tmp_path / "other"))


def test_training_lowers_the_loss_and_leaves_the_token_embeddings_alone(
    base: Path, prepared: PreparedData, tmp_path: Path
) -> None:
    before = load_base(base, 64)[0].model.get_input_embeddings().weight.clone()
    schedule = Schedule(40, 3e-3, 4, max_length=64, validate_every=100, checkpoint_every=100)
    model, losses = load_base(base, 64), list[float | None]()
    trainer = Trainer(
        model, Sampler(prepared.sources, Mixture(groups=4), 0), prepared.validation, schedule, tmp_path
    )

    def note(progress: Progress) -> None:
        losses.append(progress.loss)

    trainer.run(lambda: False, note)
    found = [loss for loss in losses if loss is not None]
    assert found[-1] < found[0] - 0.05
    assert torch.equal(model[0].model.get_input_embeddings().weight, before)


def test_another_run_s_checkpoint_is_refused(base: Path, prepared: PreparedData, tmp_path: Path) -> None:
    train(base, prepared, tmp_path, stop_after=1)
    fewer = Sampler([prepared.sources[0].__class__(*_shortened(prepared))], Mixture(groups=2), 0)
    with pytest.raises(UsageError, match="was started on"):
        Trainer(load_base(base, 64), fewer, prepared.validation, Schedule(STEPS), tmp_path)


def test_a_damaged_checkpoint_and_a_pickled_one_of_before_are_refused(
    base: Path, prepared: PreparedData, tmp_path: Path
) -> None:
    train(base, prepared, tmp_path / "run", stop_after=1)
    state = tmp_path / "run" / loop.STATE
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(ModelDamagedError, match="cannot be read"):
        train(base, prepared, tmp_path / "run")
    state.unlink()
    (tmp_path / "run" / "state.pt").write_bytes(b"\x80\x04")
    with pytest.raises(UsageError, match="as a pickle"):
        train(base, prepared, tmp_path / "run")


def _shortened(prepared: PreparedData) -> tuple[Any, ...]:
    source = prepared.sources[0]
    fewer = (source.labelled, source.mined[:5], source.pool, source.rarity)
    return *fewer, source.queries[:5], source.openings, source.rows


def test_batching_by_length_changes_no_score(base: Path) -> None:
    model = load_base(base, 64)
    pairs = [
        ("what is the colour", "its colour is red " * n) for n in (3, 1, 7, 2, 9, 4, 8, 5, 6, 1, 3, 2, 12)
    ]
    with torch.no_grad():
        together = score_pairs(model, pairs, 64)
        single = torch.cat([score_pairs(model, [pair], 64) for pair in pairs])
    assert torch.allclose(together, single, atol=1e-4)
    assert len(set(together.tolist())) > 5


@pytest.fixture(scope="module")
def trained(
    base: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """The command itself, whole: what it wrote, and the report."""
    output = tmp_path_factory.mktemp("out") / "model"
    parser = argparse.ArgumentParser()
    add_train_arguments(parser)
    arguments = [
        str(dataset),
        "--base",
        str(base),
        "--encoder",
        str(base),
        "--output",
        str(output),
        "--steps",
        "4",
    ]
    arguments += ["--questions", "2", "--validate-every", "2", "--max-length", "64", "--name", "tiny"]
    assert run_train(record_of(TrainArguments, parser.parse_args(arguments))) == 0
    report: dict[str, Any] = json.loads((output / "training.json").read_text(encoding="utf-8"))
    return output, report


def test_the_command_writes_a_model_that_the_product_opens(trained: tuple[Path, dict[str, Any]]) -> None:
    output, report = trained
    scorer = open_scorer(resolve_reranker(str(output), Hub(allow_downloads=False)))
    scores = scorer.score(
        "what is the colour of mint", ["mint\nIts colour is red", "bat\nIt costs nine coins"]
    )
    assert np.isfinite(scores.logits).all()
    assert reranker_spec_of_folder(output).bi_weight == report["chosen_on_validation"]["bi_weight"]
    assert report["data"][0]["queries"] == 48
    assert report["pairs"] == 4 * 2 * 5
    assert report["verdict"] in (output / "README.md").read_text(encoding="utf-8")


def test_sentence_transformers_loads_the_folder_and_gives_the_same_logits(trained: tuple[Path, Any]) -> None:
    output, _ = trained
    pairs = [("colour of mint", "mint its colour is red"), ("price of bat", "bat it costs nine coins")]
    with torch.no_grad():
        ours = score_pairs(load_base(output, 64), pairs, 64).numpy()
    theirs = CrossEncoder(
        str(output), trust_remote_code=True, device="cpu", activation_fn=torch.nn.Identity()
    )
    assert np.allclose(theirs.predict(pairs), ours, atol=1e-3)


def test_without_epochs_the_base_is_judged_and_written_as_it_is(
    trained: tuple[Path, Any], base: Path, dataset: Path, tmp_path: Path
) -> None:
    parser = argparse.ArgumentParser()
    add_train_arguments(parser)
    given = [
        str(dataset),
        "--base",
        str(trained[0]),
        "--encoder",
        str(base),
        "--output",
        str(tmp_path / "again"),
    ]
    assert (
        run_train(
            record_of(TrainArguments, parser.parse_args([*given, "--epochs", "0", "--max-length", "64"]))
        )
        == 0
    )
    before, after = (load_base(folder, 64).state_dict() for folder in (trained[0], tmp_path / "again"))
    assert same(before, after)
    report = json.loads((tmp_path / "again" / "training.json").read_text(encoding="utf-8"))
    assert report["pairs"] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--questions", "0"], "--questions is 0"),
        (["--limit", "elsewhere=5"], "--limit elsewhere=5 is not"),
        (["--max-length", "9000"], "--max-length is 9000"),
        (["--held-out", "1"], "--held-out"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(
    dataset: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    parser = argparse.ArgumentParser()
    add_train_arguments(parser)
    with pytest.raises(UsageError, match=said):
        run_train(
            record_of(
                TrainArguments, parser.parse_args([str(dataset), "--output", str(tmp_path / "o"), *arguments])
            )
        )


@pytest.mark.parametrize("where", ["library", "dataset", "base", "file"])
def test_a_model_is_written_over_nothing_that_no_training_wrote(
    base: Path, dataset: Path, tmp_path: Path, where: str
) -> None:
    places = {"library": tmp_path / "notes", "dataset": dataset, "base": base, "file": tmp_path / "model"}
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "README.md").write_text("mine")
    (tmp_path / "model").write_text("mine")
    folder = places[where] if where != "file" else tmp_path
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    parser = argparse.ArgumentParser()
    add_train_arguments(parser)
    given = [str(dataset), "--base", str(base), "--encoder", str(base), "--output", str(places[where])]
    with pytest.raises(UsageError, match="--output"):
        run_train(
            record_of(TrainArguments, parser.parse_args([*given, "--epochs", "0", "--max-length", "64"]))
        )
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_what_is_not_to_be_downloaded_is_not_for_training_either(
    base: Path,
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SECONDLOOK_DOWNLOADS", "0")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    given = [
        "train",
        str(dataset),
        "--base",
        str(base),
        "--output",
        str(tmp_path / "o"),
        "--encoder",
        "no/such",
    ]
    assert main(given) == 1
    assert "downloads are switched off" in capsys.readouterr().err


def cases(count: int) -> list[Case]:
    """Queries whose one relevant passage the bi-encoder has at rank 3 of 6."""
    cosines = np.linspace(0.9, 0.4, 6, dtype=np.float32)
    return [Case("facts", f"q{n}", tuple("abcdef"), ("p",) * 6, cosines, {"c": 1}) for n in range(count)]


def judged(logits: Callable[[Case, int], Sequence[float]], count: int = 40) -> Any:
    found = cases(count)
    rows = [np.array(logits(case, number), dtype=np.float32) for number, case in enumerate(found)]
    return judge(found, [case.cosines for case in found], rows, bi_weight=0.0, seed=0)


def test_the_gate_lets_a_better_model_pass() -> None:
    verdict = judged(lambda case, _: case.grades.tolist())
    assert verdict.better
    assert verdict.gain == pytest.approx(0.5)
    assert verdict.sentence.startswith("Better than")


def test_the_gate_says_so_of_a_useless_model() -> None:
    dice = np.random.default_rng(0)
    assert not judged(lambda *_: dice.normal(size=6).tolist()).better
    same_order = judged(lambda case, _: case.cosines.tolist())
    assert same_order.p == 1.0
    assert same_order.sentence.startswith("Not better")
    assert judged(lambda case, _: (-case.grades).tolist()).sentence.startswith("Not better")


def test_a_gain_on_few_queries_is_chance() -> None:
    assert not judged(lambda case, n: case.grades.tolist() if n == 0 else case.cosines.tolist()).better


def test_ndcg_by_hand() -> None:
    (case,) = cases(1)
    by_cosine, by_grade, tied = ndcg([case] * 3, [case.cosines, case.grades.astype(np.float32), np.zeros(6)])
    assert by_cosine == pytest.approx(1 / np.log2(4))
    assert by_grade == 1.0
    assert tied == pytest.approx(0.5), "ties keep the bi-encoder's order"
    wanting = replace(case, judged={"c": 1, "elsewhere": 2})
    assert ndcg([wanting], [case.cosines]) == [pytest.approx((1 / np.log2(4)) / (2 + 1 / np.log2(3)))]


def test_a_model_that_knows_nothing_is_mixed_with_the_bi_encoder() -> None:
    found = cases(30)
    dice = np.random.default_rng(1)
    noise = [dice.normal(scale=3, size=6).astype(np.float32) for _ in found]
    measured = measure(found, noise)
    assert measured.bi_weight > 0
    assert measured.mixed["mean"] > measured.cross_encoder["mean"]


def test_randomisation_is_exact_where_it_can_be_counted() -> None:
    before, after = [0.0] * 8, [1.0] * 8
    assert paired_randomisation(before, after, seed=0) == pytest.approx(2 / 2**8, abs=0.004)
    assert paired_randomisation(before, before, seed=0) == 1.0


def test_relevance_is_calibrated() -> None:
    dice = np.random.default_rng(2)
    logits = dice.normal(4.0, 6.0, size=4000)
    relevant = dice.random(4000) < 1 / (1 + np.exp(-(0.5 * logits - 3)))
    scale, shift = fit_relevance(logits, relevant)
    assert scale == pytest.approx(0.5, abs=0.06)
    assert shift == pytest.approx(-3, abs=0.35)
    assert fit_relevance(logits, np.zeros(4000, dtype=bool)) == (1.0, 0.0)
