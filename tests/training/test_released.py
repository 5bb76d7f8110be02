"""The authors' released data, as far as its form is known: mapped to pages, or skipped and counted."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from layoutllm_tool.cot import AnswerFormation, QuestionAnalysis
from layoutllm_tool.documents.geometry import Box
from layoutllm_tool.errors import DocumentNotFound, DocumentUnreadable, TrainingError
from layoutllm_tool.training.grounding import problem
from layoutllm_tool.training.pretraining.files import read_items
from layoutllm_tool.training.released import Released, area_of, page_of, question_of, steps_of, task_of
from layoutllm_tool.training.schema import QA, Instruction

LINES: list[dict[str, Any]] = [
    {"text": "ACME TRADING", "box": [200, 20, 600, 50]},
    {"text": "Invoice No:", "box": [50, 100, 250, 130]},
    {"text": "A-4711", "box": [300, 100, 420, 130]},
    {"text": "DATE:25/12/2018", "box": [50, 160, 350, 190]},
    {"text": "Grand Total", "box": [50, 800, 250, 830]},
    {"text": "RM 19.00", "box": [300, 800, 450, 830]},
]
"""Pixels of a page of 800 x 1000."""


def cot(
    area: str = "[60, 790, 580, 840]", answer: str = "The answer is: RM 19.00", *,
    first: str = 'This is a key-value question. The key information is "grand total", '
    "which is to be extracted.",
    third: str = 'The value stands to the right of "Grand Total".',
) -> str:  # fmt: skip
    return (
        f"Step 1 Question Analysis: {first}\n"
        f"Step 2 Relevant Area Concentration: The relevant area is {area}.\n"
        f"Step 3 Answer Formation: {third}\n{answer}"
    )


def item(
    value: str, question: str = "What is the grand total?", image: str = "RVL_CDIP/a-1.png", **more: Any
) -> dict[str, Any]:
    said = [{"from": "human", "value": f"<image>\n{question}"}, {"from": "gpt", "value": value}]
    return {"id": "1", "image": image, "conversations": said, **more}


def data(
    folder: Path, items: Any, ocr: Any = LINES, *, lines: bool = False, picture: bool = True
) -> Released:
    """The layout known from public threads: ocr_results/<set>/<picture's file name>.json."""
    base = folder / "LayoutLLM_data" / "sft_data"
    for name in ("ocr_results", "images"):
        (base / name / "RVL_CDIP").mkdir(parents=True, exist_ok=True)
    (base / "ocr_results/RVL_CDIP/a-1.png.json").write_text(json.dumps(ocr))
    if picture:
        Image.new("RGB", (800, 1000), "white").save(base / "images/RVL_CDIP/a-1.png")
    path = base / ("sft.jsonl" if lines else "sft.json")
    path.write_text("\n".join(map(json.dumps, items)) if lines else json.dumps(items, indent=1))
    return Released(path, folder)


def page(*, size: tuple[int, int] = (800, 1000)) -> Any:
    return page_of(LINES, Image.new("L", size), "pixels")


def asked(text: str, question: str = "What is the grand total?") -> Any:
    return question_of(question, text, page())


@pytest.mark.parametrize("lines", [False, True])
def test_layoutcot_becomes_a_question_with_its_three_steps(tmp_path: Path, lines: bool) -> None:
    (example,) = source = list(data(tmp_path, [item(cot())], lines=lines))
    (qa,) = example.questions
    assert len(source) == 1 and example.source == "released/sft/a-1.png" and problem(qa, example.page) == ""
    assert isinstance(qa, QA) and qa.question == "What is the grand total?"
    assert qa.analysis == QuestionAnalysis("key-value", "extraction", "grand total")
    assert (qa.formation.relation, qa.formation.key) == ("right of", "Grand Total")
    assert (qa.answer, qa.lines, qa.words) == ("RM 19.00", (4, 5), ((5, 0), (5, 1)))
    assert example.page.image is not None and (example.page.width, example.page.height) == (800, 1000)
    assert (example.page.lines or ())[5].box == Box(375, 800, 562.5, 830)


@pytest.mark.parametrize(
    "text",
    [
        cot().replace("Step 1 ", "").replace("Step 2 ", "").replace("Step 3 ", ""),
        cot().replace("Question Analysis", "").replace("Relevant Area Concentration",
        "").replace("Answer Formation", ""),
        cot().replace("Step 1 Question Analysis:",
        "**Question Analysis**\n").replace("Step 3 Answer Formation:", "## Answer Formation\n"),
        cot(answer='Therefore, the final answer is "RM 19.00".'),
        cot(answer="**Answer:** RM 19.00"),
        cot(answer="Answer: RM 19.00."),
        cot("<0.06, 0.79, 0.58, 0.84>"),
        cot("[60, 790, 300, 840] and [370, 795, 580, 835]"),
    ],
    ids=["names", "numbers", "markdown", "a sentence", "bold", "a full stop", "shares", "two boxes"],
)  # fmt: skip
def test_ways_to_write_the_steps(text: str) -> None:
    qa = asked(text)
    assert isinstance(qa, QA), qa
    assert (qa.answer, qa.lines, qa.formation.key) == ("RM 19.00", (4, 5), "Grand Total")


def test_a_key_that_step_3_does_not_name_is_found_on_the_page() -> None:
    qa = asked(cot(third="Read it there.", area="[50, 95, 600, 135]", answer="Answer: A-4711"))
    assert (qa.formation.relation, qa.formation.key, qa.lines) == ("right of", "Invoice No", (1, 2))


def test_a_key_that_is_not_beside_the_answer_is_not_believed() -> None:
    qa = asked(cot(third='It stands below "ACME TRADING", right of "Invoice No".'))
    assert (qa.formation.relation, qa.formation.key) == ("right of", "Grand Total")


def test_a_formed_answer_keeps_the_whole_area() -> None:
    first = "This question needs reasoning over a table."
    third = 'Counting "Grand Total" once.'
    qa = asked(cot(first=first, area="[50, 95, 600, 840]", third=third, answer="Answer: five"))
    assert (qa.analysis.operation, qa.analysis.kind, qa.words) == ("reasoning", "table", ())
    assert (qa.lines, qa.answer) == ((1, 2, 3, 4, 5), "five")
    assert qa.formation == AnswerFormation("none", "Grand Total")


def test_not_in_the_document_is_no_answer() -> None:
    qa = asked(cot(answer="The answer is not mentioned in the document."))
    assert (qa.answer, qa.lines, qa.words, qa.formation.relation) == (None, (), (), "none")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("RM 19.00", "no LayoutCoT in the answer"),
        (cot(area="the lower half"), "no box in step 2"),
        (cot(area="[60, 790, 58, 840]"), "a box in step 2 that is none"),
        (cot(area="[60, 790, 5800, 8400]"), "a box in step 2 that is none"),
        (cot(area="[700, 300, 900, 400]"), "no line of the page in the area"),
        (cot(answer="Answer: RM 18.00"), "the answer is written differently on the page"),
        (cot(answer="Answer:"), "no answer"),
        (cot(answer="That is it."), "no LayoutCoT in the answer"),
        ("x" * 9000, "a question or answer that is too long"),
        (" ", "an empty question or answer"),
        (cot(answer="Answer: \x00"), "a question or answer with control characters"),
        (cot(answer="Answer: \ud800"), "a question or answer with control characters"),
    ],
)
def test_what_cannot_be_mapped_says_why(text: str, reason: str) -> None:
    assert asked(text) == reason


def test_steps_out_of_order_are_no_steps() -> None:
    assert steps_of("Answer Formation: x\nQuestion Analysis: y\nRelevant Area: z\nAnswer: 1") is None
    assert steps_of("") is None
    assert steps_of("Step 1:" * 500 + "\n" * 5000) is None


@pytest.mark.parametrize(
    "filler", ["\n", " ", "*", "(", "\nstep 1 ", "answer ", "[1,", '"', "9", "the ", ". "]
)
def test_long_runs_of_one_sign_are_read_in_no_time(filler: str) -> None:
    begun = time.process_time()
    text = (cot() + filler * 8000)[:8000]
    question_of(text, text, page())
    task_of(text)
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    ("question", "task"),
    [
        ("Describe the following document image in detail.", "DDD"),
        ("Generate all the text and layout in the document.", "TLR"),
        ("Where can we find the figure?", "DLA"),
        ("What is the document layout type for the [207, 949, 794, 962] area?", "DLA"),
        ("How many rows and columns does the table have?", "TU"),
        ("List the values in the column 9", "TU"),
        ("What is the <mask> text content?", "MVLM"),
        ("Provide the original bboxes of the text lines with bboxes set to 0 in the doc.", "MPI"),
        ('What is the direction and distance from "Date" to "No. 10"?', "GLI"),
        ("Who signed it?", None),
    ],
)
def test_tasks_by_their_phrasing(question: str, task: str | None) -> None:
    assert task_of(question) == task


def test_descriptions_become_instructions_and_hidden_words_are_not_guessed(tmp_path: Path) -> None:
    found = data(
        tmp_path,
        [item("The page is an invoice.", "Describe the following document image in detail."), item("RM",
        "What is the <mask> text content?")],
    )  # fmt: skip
    (example,) = found
    assert example.questions == (
        Instruction("DDD", "Describe the following document image in detail.", "The page is an invoice."),
    )
    assert found.skipped == {"a task whose hidden words are not given": 1}


def test_items_about_one_picture_are_one_example(tmp_path: Path) -> None:
    second = item(cot("[50, 95, 600, 135]", "Answer: A-4711"), "Which number?")
    (example,) = data(tmp_path, [item(cot()), second])
    assert [q.question for q in example.questions] == ["What is the grand total?", "Which number?"]


def test_several_turns_are_several_questions(tmp_path: Path) -> None:
    one = item(cot())
    one["conversations"] += [
        {"role": "user", "content": "And again?"},
        {"role": "assistant", "content": cot()},
        {"from": "human", "value": "left open"},
        7,
    ]
    (example,) = data(tmp_path, [one])
    assert [q.question for q in example.questions] == ["What is the grand total?", "And again?"]


# -- strangers' files ----------------------------------------------------------------------------------------

SKIPPED: dict[str, tuple[Any, str]] = {
    "a text": ("x", "not an object"),
    "no picture": ({"conversations": []}, "no picture named"),
    "a picture that is a number": (item("x", image=7), "no picture named"),  # type: ignore[arg-type]
    "upwards": (item(cot(), image="../../secret/a-1.png"), "a path that leads out of the folder"),
    "upwards on Windows": (item(cot(), image="..\\..\\a-1.png"), "a path that leads out of the folder"),
    "absolute": (item(cot(), image="/etc/passwd"), "a path that leads out of the folder"),
    "a URL": (item(cot(), image="file:///etc/passwd"), "a path that leads out of the folder"),
    "a NUL": (item(cot(), image="a\0.png"), "a path that leads out of the folder"),
    "FUNSD": (item(cot(), image="images/FUNSD/a-1.png"), "evaluation data"),
    "CORD": (item(cot(), image="cord_test/a-1.png"), "evaluation data"),
    "no such page": (item(cot(), image="b-2.png"), "no OCR result"),
    "an overlong name": (item(cot(), image="b" * 5000), "no OCR result"),
    "no conversation": ({"image": "a-1.png"}, "no conversation"),
    "a conversation of numbers": ({"image": "a-1.png", "conversations": [1, 2]}, "no conversation"),
    "an OCR path outside": (item(cot(), ocr="../../a-1.png.json"), "a path that leads out of the folder"),
}


@pytest.mark.parametrize("name", SKIPPED)
def test_items_that_cannot_be_used_are_skipped_and_counted(tmp_path: Path, name: str) -> None:
    wrong, reason = SKIPPED[name]
    found = data(tmp_path, [wrong, item(cot())])
    assert sum(len(example.questions) for example in found) == 1 and found.skipped == {reason: 1}


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "b-2.png.json").write_text(json.dumps(LINES))
    found = data(tmp_path / "in", [item(cot(), image="b-2.png")])
    (tmp_path / "in/LayoutLLM_data/sft_data/ocr_results/b-2.png.json").symlink_to(outside / "b-2.png.json")
    (tmp_path / "in/way").symlink_to(outside)
    assert list(found) == [] and found.skipped == {"no OCR result": 1}


def test_evaluation_files_are_refused(tmp_path: Path) -> None:
    for name in ("eval_data/VIE.jsonl", "x/VIE_CORD.jsonl", "x/funsd_test.json"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("[]")
        with pytest.raises(TrainingError, match="evaluation data"):
            Released(path, tmp_path)


def test_missing_files_are_errors_of_the_tree(tmp_path: Path) -> None:
    with pytest.raises(DocumentNotFound):
        Released(tmp_path / "sft.json", tmp_path)
    (tmp_path / "sft.json").write_text("[]")
    with pytest.raises(DocumentNotFound):
        Released(tmp_path / "sft.json", tmp_path / "nowhere")
    assert list(Released(tmp_path / "sft.json", tmp_path)) == []


@pytest.mark.parametrize("text", ['[{"a": 1}, {"b": ', "hello", '[{"a": 1} {]', "[" * 40 + '{"a": ' * 90_000])
def test_a_file_that_is_no_json_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "sft.json").write_text(text)
    with pytest.raises(DocumentUnreadable, match="item"):
        list(read_items(tmp_path / "sft.json"))


def test_items_are_read_over_the_borders_of_chunks(tmp_path: Path) -> None:
    items = [{"n": n, "x": "ä]},{" * (n * 700 % 9000)} for n in range(60)]
    path = tmp_path / "a.json"
    for text in (
        json.dumps(items, indent=2),
        json.dumps(items, ensure_ascii=False),
        "\n".join(map(json.dumps, items)),
        "\ufeff" + json.dumps(items),
    ):
        path.write_text(text, encoding="utf-8")
        assert list(read_items(path)) == items


def test_an_endless_item_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layoutllm_tool.training.pretraining.files.MOST_ITEM", 100_000)
    (tmp_path / "a.json").write_text('[{"a": "' + "x" * 400_000 + '"}]')
    with pytest.raises(DocumentUnreadable):
        list(read_items(tmp_path / "a.json"))


def test_damaged_pages_are_skipped(tmp_path: Path) -> None:
    found = data(tmp_path, [item(cot())])
    (tmp_path / "LayoutLLM_data/sft_data/images/RVL_CDIP/a-1.png").write_bytes(b"\x89PNG")
    assert list(found) == [] and found.skipped == {"a damaged file": 1}


# -- OCR results ---------------------------------------------------------------------------------------------


def corners(x0: int, y0: int, x1: int, y1: int) -> list[list[int]]:
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


def words(text: str, box: list[int]) -> list[dict[str, Any]]:
    x0, y0, _, y1 = box
    return [{"text": t, "box": [x0 + 40 * n, y0, x0 + 40 * n + 35, y1]} for n, t in enumerate(text.split())]


POINTS = [{"text": e["text"], "points": corners(*e["box"])} for e in LINES]
WORDS = [{**e, "words": words(**e)} for e in LINES]
FORMS: dict[str, Any] = {
    "points": POINTS,
    "eight numbers": [{"text": e["text"], "poly": [v for p in e["points"] for v in p]} for e in POINTS],
    "an object around": {"img": {"width": 800, "height": 1000}, "document": LINES},
    "pages around": {"pages": [{"lines": LINES}]},
    "side by side": {"texts": [e["text"] for e in LINES], "boxes": [e["box"] for e in LINES]},
    "a form": {"form": WORDS},
    "nested pairs": [[e["points"], [e["text"], 0.98]] for e in POINTS],
}


@pytest.mark.parametrize("name", FORMS)
def test_usual_forms_of_ocr_results(name: str) -> None:
    found = page_of(FORMS[name], Image.new("L", (800, 1000)), "pixels")
    assert not isinstance(found, str), found
    assert [line.text for line in found.lines or ()] == [e["text"] for e in LINES]
    assert (found.lines or ())[4].box.y0 == 800 and (found.lines or ())[4].box.x0 == 62.5


def test_words_with_boxes_are_grouped_to_lines() -> None:
    found = page_of(words("the total is here", [100, 50, 0, 70]), None, "thousandths")
    assert not isinstance(found, str) and [line.text for line in found.lines or ()] == ["the total is here"]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (LINES, "a page of unknown size"),
        ([], "no words in the OCR result"),
        ({"lines": [{"text": 7, "box": [0, 0, 1, 1]}]}, "no words in the OCR result"),
        ([{"text": " ", "box": [0, 0, 1, 1]}], "no words in the OCR result"),
        ([{"text": "a", "box": [0, 0, float("nan"), 1]}], "no words in the OCR result"),
        ([{"text": "\ud800", "box": [0, 0, 1, 1]}], "no words in the OCR result"),
        ({"width": 100, "height": 100, "lines": LINES}, "boxes outside the page"),
        (
            {"width": 900, "height": 900, "lines": [{"text": "a", "box": [0, 0, 1, 1]}] * 6000},
            "too many words in the OCR result",
        ),
        ({"data": {"data": {"data": {"data": {"data": {"data": LINES}}}}}}, "no words in the OCR result"),
        (7, "no words in the OCR result"),
    ],
)
def test_ocr_results_that_are_none(raw: Any, reason: str) -> None:
    assert page_of(raw, None, "pixels") == reason


def test_boxes_of_a_thousand_need_no_size() -> None:
    found = page_of(LINES, None, "thousandths")
    assert not isinstance(found, str) and (found.lines or ())[5].box == Box(300, 800, 450, 830)
    assert area_of("[1, 2, 3, 4]") == Box(1, 2, 3, 4)
