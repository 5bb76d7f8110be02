"""The evaluation commands end to end, with a reader that needs no model."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from rich.console import Console

from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.errors import DocumentUnreadable, OCRTimeout
from layoutllm_tool.evaluation import command, results, runs
from layoutllm_tool.evaluation.datasets import funsd, sample, sroie, unanswerable
from layoutllm_tool.evaluation.results import Question, ScoredAnswer
from layoutllm_tool.evaluation.run import ask_all, spread
from layoutllm_tool.protocols import Reader
from layoutllm_tool.testing import FakeReader, document_from_text
from layoutllm_tool.training.receipts import dataset_page
from tests.paths import DATA

if TYPE_CHECKING:
    from layoutllm_tool.protocols import Source

needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="../shared/data is absent: real receipts and forms are not here"
)

RECEIPT = "ACME Trading\n12 High Street\nDate:    25/12/2018\nTotal:   9.00"


class TextReader(FakeReader):
    """Reads every file as the same page of text, unless its words are given."""

    def __init__(self, text: str = RECEIPT) -> None:
        super().__init__()
        self.text = text

    def load(self, source: Source, *, words: Sequence[Page] | None = None) -> Document:
        return super().load(source, words=words) if words else document_from_text(self.text, name=str(source))


def run(*arguments: object, reader: Reader | None = None) -> tuple[int, str]:
    out = io.StringIO()
    console = Console(file=out, width=160)
    code = command.main([str(a) for a in arguments], make=lambda _: reader or TextReader(), console=console)
    return code, out.getvalue()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two receipts in the dataset's format, as ``RECEIPT`` says, with their four fields."""
    for name in ("images", "lines", "entities"):
        (tmp_path / name).mkdir()
    texts = ["ACME Trading", "12 High Street", "Date: 25/12/2018", "Total: 9.00"]
    lines = [{"text": t, "box": [10, 40 * i, 10 + 8 * len(t), 40 * i + 20]} for i, t in enumerate(texts)]
    fields = {"company": "ACME TRADING", "date": "25/12/2018", "address": "12 HIGH STREET", "total": "RM9.00"}
    for number in (400, 401):
        Image.new("L", (400, 400), 255).save(tmp_path / f"images/{number}.jpg")
        (tmp_path / f"lines/{number}.json").write_text(
            json.dumps({"width": 400, "height": 400, "lines": lines})
        )
        (tmp_path / f"entities/{number}.json").write_text(json.dumps(fields))
    return tmp_path


# -- rows and asking -----------------------------------------------------------------------------------------


def test_scoring_one_answer() -> None:
    reader, question = FakeReader(), Question("d", "total", "What is the total?", ("9.0",))
    document = document_from_text(RECEIPT)
    row = results.score(question, reader.ask(document, question.text), document.pages[0], seconds=0.5)
    assert (row.answer, row.anls, row.right, row.area_hit, row.page) == ("9.00", 0.75, True, True, 1)
    assert row.box is not None and row.iou == 1.0
    silent = results.score(
        Question("d", "iban", "What is the IBAN?", ()),
        reader.ask(document, "What is the IBAN?"),
        document.pages[0],
        seconds=0,
    )
    assert (silent.answer, silent.anls, silent.right, silent.area_hit) == (None, 1.0, True, None)


def test_rows_survive_the_file(tmp_path: Path) -> None:
    made = [
        ScoredAnswer(
            "d", "f", "q", ("a", "b"), None, 0.0, 0.0, False, 0.2, 0.1, signals={"x": 1.0}, area=[1, 2, 3, 4]
        )
    ]
    results.write(tmp_path / "rows.json", made, load_seconds=[1.0])
    assert results.read(tmp_path / "rows.json") == made
    assert json.loads((tmp_path / "rows.json").read_text())["summary"]["all"]["questions"] == 1
    (tmp_path / "bad.json").write_text("[1]")
    with pytest.raises(DocumentUnreadable, match="--json"):
        results.read(tmp_path / "bad.json")


class Broken(TextReader):
    def load(self, source: Source, *, words: Sequence[Page] | None = None) -> Document:
        if "401" in str(source):
            raise OCRTimeout("took too long.")
        return super().load(source)


def test_refusals_are_counted_and_score_nothing(data: Path) -> None:
    outcome = ask_all(Broken(), sroie.items(data, numbers=(400, 401)))
    assert [line.split(":")[:2] for line in outcome.errors] == [["401.jpg", " OCRTimeout"]]
    assert len(outcome.answers) == 8 and len(outcome.load_seconds) == 1
    lost = [row for row in outcome.answers if row.document == "receipts/401"]
    assert all((row.anls, row.area_hit, row.right) == (0.0, False, False) for row in lost)


def test_errors_of_others_are_not_swallowed(data: Path) -> None:
    question = sroie.items(data, numbers=(400,))[0].questions[0].text
    reader = TextReader()
    reader.answers[question] = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError):
        ask_all(reader, sroie.items(data, numbers=(400,)))


# -- commands ------------------------------------------------------------------------------------------------


def test_receipts_command(data: Path, tmp_path: Path) -> None:
    code, said = run("sroie", "--data", data, "--numbers", "400-401", "--json", tmp_path / "rows.json")
    assert code == 0
    for heading in ("ANLS", "area hit", "company", "address", "all", "Errors: none"):
        assert heading in said
    found = results.read(tmp_path / "rows.json")
    assert len(found) == 8
    by_field = {row.field: row for row in found}
    assert (
        by_field["date"].answer == "25/12/2018" and by_field["date"].anls == 1.0 and by_field["date"].area_hit
    )
    assert by_field["total"].anls == pytest.approx(4 / 6)  # "9.00" for "RM9.00"
    assert by_field["company"].answer is None and not by_field["company"].area_hit
    assert by_field["date"].signals == {} or all(
        isinstance(v, float) for v in by_field["date"].signals.values()
    )


class Parrot:
    def ask(self, page_text: str, question: str) -> str:
        return "25/12/2018" if "date" in question else page_text.splitlines()[0]


def test_baseline_stands_beside(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_baseline", Parrot)
    code, said = run("sroie", "--data", data, "--numbers", "400", "--baseline")
    assert code == 0
    assert "untuned" in said
    found = ask_all(TextReader(), sroie.items(data, numbers=(400,)), baseline=Parrot()).answers
    assert {row.field: row.baseline_anls for row in found} == {
        "company": 1.0,
        "date": 1.0,
        "address": 0.0,
        "total": 0.0,
    }


def test_missing_data_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("sroie", "--data", tmp_path / "nowhere")[0] == 2
    assert run("sroie", "--data", tmp_path)[0] == 2
    assert run("funsd", "--data", tmp_path)[0] == 2
    assert "DocumentNotFound" in capsys.readouterr().err


def test_numbers_and_spread() -> None:
    assert command.numbers("400-402,410") == (400, 401, 402, 410)
    assert spread(range(400, 500), 4) == [400, 425, 450, 475]
    assert spread(range(3), 9) == range(3)
    with pytest.raises(SystemExit):
        run("sroie", "--data", ".", "--numbers", "4oo")


def test_fit_command(tmp_path: Path) -> None:
    made = [
        ScoredAnswer(
            "d",
            "f",
            "q",
            ("a",),
            "a" if i % 3 else "z",
            float(bool(i % 3)),
            0.0,
            bool(i % 3),
            0.5,
            0.1,
            signals={"x": float(bool(i % 3)), "none_logprob": -3.0},
        )
        for i in range(30)
    ] + [ScoredAnswer("d", "f", "q", (), None, 1.0, 1.0, True, 0.5, 0.1, signals={"none_logprob": -0.1})] * 5
    results.write(tmp_path / "rows.json", made)
    code, said = run("fit", "--rows", tmp_path / "rows.json", "--out", tmp_path / "calibration.json")
    assert code == 0 and "35 rows" in said
    fitted = json.loads((tmp_path / "calibration.json").read_text())
    assert (
        fitted["answer"]["x"] > 0 and "bias" in fitted["none"] and isinstance(fitted["no_answer_bias"], float)
    )


# -- forms ---------------------------------------------------------------------------------------------------


def entity(number: int, text: str, label: str, links: list[list[int]], x: int = 0) -> dict[str, object]:
    box = [x, 40 * number, x + 60, 40 * number + 20]
    words = [{"text": word, "box": box} for word in text.split()]
    return {"id": number, "text": text, "label": label, "linking": links, "words": words, "box": box}


def test_forms_drop_keys_with_several_values(tmp_path: Path) -> None:
    annotation = {
        "form": [
            entity(0, "TO:", "question", [[0, 1]]),
            entity(1, "Mr. Hall", "answer", [[0, 1]], 100),
            entity(2, "CC:", "question", [[2, 3], [2, 4]]),
            entity(3, "Ann", "answer", [[2, 3]], 100),
            entity(4, "Bob", "answer", [[2, 4]], 100),
            entity(5, "FAX:", "question", []),
            entity(6, "MEMO", "header", [[6, 7]]),
            entity(7, "No:", "question", [[6, 7], [7, 8]]),
            entity(8, "12 /10 /98", "answer", [[7, 8]], 100),
        ]
    }
    for name in ("annotations", "images"):
        (tmp_path / name).mkdir()
    (tmp_path / "annotations/1.json").write_text(json.dumps(annotation))
    Image.new("L", (400, 400), 255).save(tmp_path / "images/1.png")
    (item,) = funsd.items(tmp_path)
    assert [(q.text, q.gold) for q in item.questions] == [
        ('What is the content in the "TO:" field?', ("Mr. Hall",)),
        ('What is the content in the "No:" field?', ("12 /10 /98",)),
    ]
    assert item.questions[0].boxes[0].as_list() == [250, 100, 400, 150]
    code, said = run("funsd", "--data", tmp_path, reader=FakeReader())
    assert code == 0 and "value" in said


@needs_data
def test_forms_draw_is_stable() -> None:
    forms = funsd.items(DATA / "forms")
    first, again = (sample(forms, 40, 3, "forms") for _ in range(2))
    assert [i.questions for i in first] == [i.questions for i in again]
    assert sum(len(i.questions) for i in first) == 40
    assert [i.questions for i in first] != [i.questions for i in sample(forms, 40, 4, "forms")]


# -- unanswerable --------------------------------------------------------------------------------------------


def test_twenty_questions_of_twenty_held_out_receipts() -> None:
    fixed = unanswerable.QUESTIONS
    assert len({q["number"] for q in fixed}) == len({q["text"] for q in fixed}) == 20
    assert all(q["number"] in sroie.HELD_OUT for q in fixed)


@needs_data
def test_no_page_answers_its_question() -> None:
    """By the dataset's own lines; the command checks the same against what our text recognition read."""
    for question in unanswerable.QUESTIONS:
        assert (
            unanswerable.present(question["names"], dataset_page(DATA / "receipts", question["number"])) == ()
        )


@needs_data
@pytest.mark.parametrize(("text", "code"), [("Total:   9.00", 0), ("flight:   XY 12", 0)])
def test_unanswerable_command(text: str, code: int) -> None:
    found, said = run("unanswerable", "--data", DATA, reader=TextReader(text))
    assert found == code
    assert "of 20" in said
    assert ("holds flight" in said) == ("flight" in text)


@needs_data
def test_answering_what_is_not_there_fails() -> None:
    reader = TextReader()
    reader.answers = {q["text"]: "9.00" for q in unanswerable.QUESTIONS[:6]}
    code, said = run("unanswerable", "--data", DATA, reader=reader)
    assert code == 1 and "None: 14 of 20" in said
