"""ReviewRecord answers as training examples: from a real batch, through a person's words, into the
trainer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from layoutllm_graphs.batch.review import review_field
from layoutllm_graphs.batch.runner import Batch, here, reader_identity
from layoutllm_graphs.batch.worker import Settings
from layoutllm_graphs.review import ReviewDecision
from layoutllm_tool.batch.inputs import batch_inputs
from layoutllm_tool.batch.sources import open_document
from layoutllm_tool.batch.store import Store
from layoutllm_tool.cot import AnswerFormation, Area, Evidence, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents import align
from layoutllm_tool.documents.align import normal
from layoutllm_tool.documents.geometry import Box, Document
from layoutllm_tool.errors import RecipeError
from layoutllm_tool.testing import FakeReader, document_from_text
from layoutllm_tool.training import run
from layoutllm_tool.training.data import Sources, fingerprint, sized, stage_examples
from layoutllm_tool.training.grounding import problem
from layoutllm_tool.training.recipe import Stage, load_recipe, settings_of
from layoutllm_tool.training.released import Released
from layoutllm_tool.training.reviewed import Decision, ReviewedPages, examples_of, of_batch
from layoutllm_tool.training.sampling import Rehearsed
from layoutllm_tool.training.schema import QA, Example
from layoutllm_tool.training.synthetic.questions import ABSENT, lacks
from tests import tiny
from tests.batch_pages import invoice
from tests.training.test_released import pages

PAGE = "ACME Ltd\nOrder no: 4711\nFlight start: 12/09/19\nFlight end: 12/15/19\nNet: 850.00\nGross: 850.00"
ASK = "What is the {}?"


def said(name: str, value: str | None, cot: LayoutCoT | None = None) -> Decision:
    return Decision(name, ASK.format(name), value, cot)


def taught(words: Sequence[Decision], text: str = PAGE) -> dict[str, QA]:
    found = examples_of(document_from_text(text, name="a.pdf"), words)
    return {qa.question: qa for example in found.examples for qa in example.qas}


def test_a_value_without_a_place_is_found_beside_the_key_that_sounds_like_the_field() -> None:
    page = document_from_text(PAGE, name="a.pdf").pages[0]
    found = taught(
        [said("gross amount", "$850.00"), said("net amount", "850.00"), said("order number", "4711")]
    )
    lines = [line.text for line in page.lines or ()]
    for name, word in (("gross amount", "Gross:"), ("net amount", "Net:"), ("order number", "Order")):
        qa = found[ASK.format(name)]
        assert problem(qa, page) == "" and any(word in lines[i] for i in qa.lines)
        assert align.joined(page, qa.words).endswith(qa.answer or "?")
    assert found[ASK.format("order number")].formation.key == "Order no"


def test_what_stands_nowhere_is_left_out_and_counted_and_absence_is_taught() -> None:
    document = document_from_text(PAGE, name="a.pdf")
    found = examples_of(
        document, [said("total", "1234.56"), said("iban", None), said("order number", "4711")]
    )
    assert found.left_out == {"its value stands on no page": 1}
    (example,) = found.examples
    assert of_people(example.qas) == {"What is the iban?": None, "What is the order number?": "4711"}


def of_people(qas: Sequence[QA]) -> dict[str, str | None]:
    """Without the fields that the page lacks, which every page has one of at least."""
    names = {name for group in ABSENT for name in group}
    added = [
        qa for qa in qas if qa.answer is None and normal(qa.analysis.key) in {normal(name) for name in names}
    ]
    assert added and all(lacks(document_from_text(PAGE).pages[0], [qa.analysis.key]) for qa in added)
    said_so = {"What is the iban?"}  # by a person
    return {qa.question: qa.answer for qa in qas if qa not in added or qa.question in said_so}


def test_every_page_teaches_to_refuse_what_it_lacks() -> None:
    """Or six reviewed documents unlearn it."""
    page = document_from_text(PAGE, name="a.pdf")
    (example,) = examples_of(page, [said(name, "4711") for name in ("a", "b", "c", "d", "e")]).examples
    extra = [qa for qa in example.qas if qa.answer is None]
    assert len(extra) == 2 and len(example.qas) == 7
    assert examples_of(page, [said("a", "4711")]).examples == examples_of(page, [said("a", "4711")]).examples


def test_the_chains_own_place_and_analysis_come_first() -> None:
    page = document_from_text(PAGE, name="a.pdf").pages[0]
    lines = page.lines or ()
    at = next(i for i, line in enumerate(lines) if line.text.startswith("Net") or "850.00" in line.text)
    word = (at, len(lines[at].words) - 1)
    box = lines[at].words[-1].box
    analysis = QuestionAnalysis("table", "extraction", "Net")
    cot = LayoutCoT(
        ASK.format("amount"),
        analysis,
        (Area(1, lines[at].box, (at,)),),
        AnswerFormation("inside", "Net"),
        "850.00",
        0.3,
        (Evidence(1, box, "850.00", (word,)),),
    )
    qa = taught([said("amount", "850.00", cot)])[ASK.format("amount")]
    assert qa.words == (word,) and qa.analysis == analysis
    # The answer was written by hand over a chain that had pointed elsewhere: the value is looked for, its
    # area preferred.
    other = taught([said("amount", "4711", cot)])[ASK.format("amount")]
    assert other.answer == "4711" and other.words != (word,)


def test_a_formed_answer_keeps_the_area_it_follows_from() -> None:
    analysis = QuestionAnalysis("key-value", "reasoning", "flight")
    area = Area(1, Box(0, 0, 1000, 1000), (2, 3))
    cot = LayoutCoT("How long?", analysis, (area,), AnswerFormation("none", "Flight"), "6 days", 1.0)
    qa = taught([Decision("length", "How long?", "6 days", cot)])["How long?"]
    assert (qa.answer, qa.lines, qa.words) == ("6 days", (2, 3), ())


def test_of_several_pages_each_teaches_what_it_says() -> None:
    pages = [
        document_from_text(text, name="a.pdf").pages[0]
        for text in (PAGE, "Order no: 4711\nGross: 99.00", "Terms")
    ]
    document = replace(
        document_from_text(PAGE, name="a.pdf"),
        pages=tuple(replace(p, number=n) for n, p in enumerate(pages, 1)),
    )
    found = examples_of(document, [said("order number", "4711"), said("gross", "99.00")])
    by_page = {example.source: of_people(example.qas) for example in found.examples}
    assert list(by_page) == ["a.pdf/1", "a.pdf/2"]  # the third has nothing but refusals to teach
    assert by_page["a.pdf/2"] == {"What is the order number?": "4711", "What is the gross?": "99.00"}
    assert by_page["a.pdf/1"]["What is the order number?"] == "4711"
    assert by_page["a.pdf/1"].get("What is the gross?", None) is None


# -- from a batch --------------------------------------------------------------------------------------------


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """Four invoices read by a FakeReader; the vendor of 001 mended by hand, its total accepted, 002's first
    mended, then absent.
    """
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for number in range(4):
        (source / f"{number:03}.pdf").write_bytes(invoice(number))
    reader = FakeReader()
    settings = Settings.of(
        ["vendor", "total"], model=reader_identity(reader), max_attempts=1, second_opinion=False
    )
    with Batch(batch_inputs(str(source)), out, settings) as made:
        made.run(here(reader, settings))
    say(out, "001.pdf", "vendor", {"answer": "Zeta"})
    say(out, "001.pdf", "total", {"accept": True})
    say(out, "002.pdf", "vendor", {"answer": "Shop"})
    say(out, "002.pdf", "vendor", {"absent": True})
    return out


def say(out: Path, document: str, name: str, reply: dict[str, Any]) -> None:
    with Store.open(out) as store:
        key = next(one.key for one in store.inputs() if one.name.endswith(document))
        review_field(
            store, key, name, ReviewDecision.model_validate(reply), reader=FakeReader(), opened=open_document
        )


def test_the_last_word_on_each_field_counts(batch: Path) -> None:
    found = ReviewedPages.read([batch])
    assert found.left_out == {} and len(found) == 2
    answers = {(e.source, qa.analysis.key): qa.answer for e in found.examples for qa in e.qas}
    assert {(source, answer) for (source, _), answer in answers.items() if answer} == {
        ("001.pdf/1", "Zeta"),
        ("001.pdf/1", "1.50"),
    }
    vendor = next(
        qa for e in found.examples for qa in e.qas if e.source == "002.pdf/1" and "company" in qa.question
    )
    assert vendor.answer is None


def test_a_document_that_changed_or_went_is_counted_not_taught(batch: Path, tmp_path: Path) -> None:
    (tmp_path / "in" / "001.pdf").write_bytes(invoice(3))
    (tmp_path / "in" / "002.pdf").unlink()
    reasons = [reason for one in of_batch(batch) for reason in one.left_out]
    assert len(reasons) == 2 and any("changed" in reason for reason in reasons)
    with pytest.raises(RecipeError, match=r"nothing to learn.*changed"):
        ReviewedPages.read([batch])


def test_documents_of_a_registrys_validation_set_are_not_trained_on(batch: Path, tmp_path: Path) -> None:
    from layoutllm_tool.commands.train import _validated_documents
    from layoutllm_tool.registry import Registry
    from layoutllm_tool.registry.validation import ValidationSet

    asked = tmp_path / "validation.jsonl"
    asked.write_text('{"document": "in/001.pdf", "question": "What is the total?", "answers": ["1.50"]}')
    Registry.set_validation(tmp_path / "models", ValidationSet.read(asked))
    recipe = load_recipe("adapt")
    sources = Sources(reviewed=(batch,), held_out=_validated_documents(tmp_path / "models"))
    found = stage_examples(recipe, recipe.stages[0], sources)
    assert isinstance(found, Rehearsed)
    assert [example.source for example in found.reviewed.examples] == ["002.pdf/1"]
    assert found.reviewed.left_out == {"its document is in the validation set": 2}
    assert _validated_documents(None) == frozenset()


def test_released_pages_are_rehearsed_where_they_are_given(
    batch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAYOUTLLM_HOME", str(tmp_path / "home"))
    recipe = load_recipe("adapt")
    sources = Sources(reviewed=(batch,), released=(pages(tmp_path),), released_folder=tmp_path)
    found = stage_examples(recipe, recipe.stages[0], sources)
    assert isinstance(found, Rehearsed) and isinstance(found.others, Released)


def test_a_correction_that_did_not_satisfy_teaches_nothing(batch: Path) -> None:
    """The reader's answer after it is nobody's word."""
    with Store.open(batch) as store:
        key = next(one.key for one in store.inputs() if one.name.endswith("003.pdf"))
        field = store.field(key, "vendor")
        assert field
        after = replace(field, answer={**field.answer, "by": "person", "verdict": "max_iterations_reached"})
        store.reviewed(key, "vendor", {"correction": {}}, [after, *store.fields(key)[1:]], "needs_revision")
    assert len(ReviewedPages.read([batch])) == 2


# -- among other pages ---------------------------------------------------------------------------------------


def test_passes_are_whole_and_other_pages_strewn_evenly() -> None:
    page = document_from_text(PAGE, name="a.pdf").pages[0]
    own = ReviewedPages(tuple(Example(f"own/{n}", page, ()) for n in range(7)), {})
    mixed = Rehearsed(own, lambda index: Example(f"other/{index}", page, ()), 0.3)
    pages = mixed.pages(2)
    seen = [mixed(index).source for index in range(pages)]
    assert sorted(s for s in seen if s.startswith("own"))[::2] == [f"own/{n}" for n in range(7)]
    assert [s for s in seen if s.startswith("other")] == [f"other/{n}" for n in range(pages - 14)]
    assert 0.25 <= (pages - 14) / pages <= 0.35
    stage = Stage(data="reviewed", passes=2, pages_per_step=4)
    assert (
        sized(stage, mixed).pages == -(-pages // 4) * 4
        and sized(replace(stage, passes=0), mixed).pages == 1000
    )
    first, second = seen[:10], [mixed(i).source for i in range(10, 20)]
    assert [s for s in first if "own" in s] != [s for s in second if "own" in s]  # each pass in its own order


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"sft.data": "documents"}, "4 passes over 'documents'"), ({"rehearsal": "1.0"}, "rehearsal is 1.0")],
)
def test_recipes_that_contradict_themselves_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe("adapt").with_settings(settings)


def test_the_recipe_adapt_trains_on_the_reviews_and_nothing_else(
    batch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "begin", lambda _: tiny.smol())
    settings = "start=base rehearsal=0 workers=0 pages_per_step=2 passes=3 lora_rank=4 learning_rate=0.01"
    recipe = load_recipe("adapt").with_settings(settings_of(settings.split()))
    outcome = run.run(recipe, Sources(reviewed=(batch,)), tmp_path / "run")
    assert outcome.finished and outcome.facts["stage_1"] == "sft, 3 of 3 steps of 2 pages"
    expected = fingerprint(Rehearsed(ReviewedPages.read([batch]), lambda _: pytest.fail("no rehearsal"), 0.0))
    assert outcome.facts["stage_1_data_sha256"] == expected
    changed = {
        name for name, value in outcome.model.named_parameters() if "lora_B" in name and torch.any(value)
    }
    assert changed


def test_without_reviews_the_recipe_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="layoutllm view"):
        ReviewedPages.read([])


def test_the_data_hash_is_of_every_reviewed_page() -> None:
    document: Document = document_from_text(PAGE, name="a.pdf")
    examples = [Example(f"own/{n}", document.pages[0], ()) for n in range(12)]

    def hashed(last: str) -> str:
        pages = (*examples[:-1], replace(examples[-1], source=last))
        return fingerprint(Rehearsed(ReviewedPages(pages, {}), lambda _: examples[0], 0.3))

    assert hashed("own/11") == hashed("own/11") != hashed("own/12")
