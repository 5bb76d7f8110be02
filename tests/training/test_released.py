"""The authors' released data, as far as its form is known: mapped to pages, or skipped with the reason."""

from __future__ import annotations

import json
import pickle
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from layoutllm_tool.cli import main
from layoutllm_tool.cot import AnswerFormation, QuestionAnalysis
from layoutllm_tool.documents.geometry import Box
from layoutllm_tool.errors import DocumentNotFound, DocumentUnreadable, RecipeError, TrainingError
from layoutllm_tool.training import run
from layoutllm_tool.training.data import Sources, fingerprint, stage_examples
from layoutllm_tool.training.grounding import problem
from layoutllm_tool.training.pretraining.files import read_items
from layoutllm_tool.training.recipe import Stage, load_recipe
from layoutllm_tool.training.released import Released, Wanted, page_of, question_of, steps_of
from layoutllm_tool.training.schema import QA, Example, Instruction
from tests import tiny

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


def data(folder: Path, items: Any, ocr: Any = LINES, *, lines: bool = False, picture: bool = True) -> Path:
    """The layout known from public threads: ocr_results/<set>/<picture's file name>.json."""
    base = folder / "LayoutLLM_data" / "sft_data"
    for name in ("ocr_results", "images"):
        (base / name / "RVL_CDIP").mkdir(parents=True, exist_ok=True)
    (base / "ocr_results/RVL_CDIP/a-1.png.json").write_text(json.dumps(ocr))
    if picture:
        Image.new("RGB", (800, 1000), "white").save(base / "images/RVL_CDIP/a-1.png")
    path = base / ("sft.jsonl" if lines else "sft.json")
    path.write_text("\n".join(map(json.dumps, items)) if lines else json.dumps(items, indent=1))
    return path


def read(path: Path, folder: Path, wanted: Wanted = "layoutcot") -> tuple[list[Example], list[str]]:
    """All pages, and why others can't be used."""
    found = Released.read([path], folder, wanted)
    at = [found.at(number) for number in range(len(found))]
    return [example for example, _ in at if example], [reason for _, reasons in at for reason in reasons]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAYOUTLLM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def asked(text: str, question: str = "What is the grand total?") -> Any:
    return question_of(question, text, page_of(LINES, Image.new("L", (800, 1000))))  # type: ignore[arg-type]


@pytest.mark.parametrize("lines", [False, True])
def test_layoutcot_becomes_a_question_with_its_three_steps(tmp_path: Path, lines: bool) -> None:
    (example,), reasons = read(data(tmp_path, [item(cot())], lines=lines), tmp_path)
    (qa,) = example.questions
    assert not reasons and example.source == "released/sft/a-1.png" and problem(qa, example.page) == ""
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
        cot().replace("Step 1 Question Analysis:",
        "**Question Analysis**\n").replace("Step 3 Answer Formation:", "## Answer Formation\n"),
        cot(answer='Therefore, the final answer is "RM 19.00".'),
        cot(answer="**Answer:** RM 19.00"),
        cot(answer="Answer: RM 19.00."),
        cot("<0.06, 0.79, 0.58, 0.84>"),
        cot("[60, 790, 300, 840] and [370, 795, 580, 835]"),
    ],
    ids=["names", "markdown", "a sentence", "bold", "a full stop", "shares", "two boxes"],
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
    qa = asked(cot(first=first, area="[50, 95, 600, 840]", third="Counting them.", answer="Answer: five"))
    assert (qa.analysis.operation, qa.analysis.kind, qa.words) == ("reasoning", "table", ())
    assert (qa.lines, qa.answer, qa.formation) == ((1, 2, 3, 4, 5), "five", AnswerFormation("none", ""))


def test_not_in_the_document_is_no_answer() -> None:
    qa = asked(cot(answer="The answer is not mentioned in the document."))
    assert (qa.answer, qa.lines, qa.words, qa.formation.relation) == (None, (), (), "none")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (cot(area="the lower half"), "no box in step 2"),
        (cot(area="[60, 790, 58, 840]"), "a box in step 2 that is none"),
        (cot(area="[60, 790, 5800, 8400]"), "a box in step 2 that is none"),
        (cot(area="[700, 300, 900, 400]"), "no line of the page in the area"),
        (cot(answer="Answer: RM 18.00"), "the answer is not in the area"),
        (cot(answer="Answer:"), "no answer"),
        ("x" * 9000, "a question or answer that is empty or too long"),
        (" ", "a question or answer that is empty or too long"),
        (cot(answer="Answer: \x00"), "a question or answer with control characters"),
        (cot(answer="Answer: \ud800"), "a question or answer with control characters"),
    ],
)
def test_what_cannot_be_mapped_says_why(text: str, reason: str) -> None:
    assert asked(text) == reason


def test_steps_out_of_order_are_no_steps() -> None:
    assert steps_of(cot()) and not steps_of(cot(answer="That is it."))
    assert not steps_of("Answer Formation: x\nQuestion Analysis: y\nRelevant Area: z\nAnswer: 1")
    assert not steps_of("")
    assert not steps_of("Step 1:" * 500 + "\n" * 5000)


@pytest.mark.parametrize(
    "filler", ["\n", " ", "*", "(", "\nstep 1 ", "answer ", "[1,", '"', "9", "the ", ". "]
)
def test_long_runs_of_one_sign_are_read_in_no_time(filler: str) -> None:
    begun = time.process_time()
    asked((cot() + filler * 8000)[:8000])
    assert time.process_time() - begun < 2


def test_descriptions_become_instructions_and_other_answers_without_steps_nothing(tmp_path: Path) -> None:
    question = "Describe the following document image in detail."
    path = data(tmp_path, [item("The page is an invoice.", question), item("RM", "What is the <mask>?")])
    (example,), reasons = read(path, tmp_path, "pretraining")
    assert example.questions == (Instruction("DDD", question, "The page is an invoice."),) and not reasons


def test_items_about_one_picture_are_one_example(tmp_path: Path) -> None:
    second = item(cot("[50, 95, 600, 135]", "Answer: A-4711"), "Which number?")
    (example,), _ = read(data(tmp_path, [item(cot()), second]), tmp_path)
    assert [q.question for q in example.questions] == ["What is the grand total?", "Which number?"]


def test_several_turns_are_several_questions(tmp_path: Path) -> None:
    one = item(cot())
    one["conversations"] += [
        {"from": "human", "value": "And again?"},
        {"from": "gpt", "value": cot()},
        {"from": "human", "value": "left open"},
        7,
    ]
    (example,), _ = read(data(tmp_path, [one]), tmp_path)
    assert [q.question for q in example.questions] == ["What is the grand total?", "And again?"]


# -- strangers' files ----------------------------------------------------------------------------------------

LEFT_OUT: dict[str, Any] = {
    "a text": "x",
    "no picture": {"conversations": []},
    "a picture that is a number": item("x", image=7),  # type: ignore[arg-type]
    "FUNSD": item(cot(), image="images/FUNSD/a-1.png"),
    "CORD": item(cot(), image="cord_test/a-1.png"),
    "no conversation": {"image": "RVL_CDIP/a-1.png"},
    "a conversation of numbers": {"image": "RVL_CDIP/a-1.png", "conversations": [1, 2]},
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_items_that_are_none_are_left_out(tmp_path: Path, name: str) -> None:
    (example,), reasons = read(data(tmp_path, [LEFT_OUT[name], item(cot())]), tmp_path)
    assert len(example.questions) == 1 and not reasons


@pytest.mark.parametrize(
    "name",
    [
        "../../secret/RVL_CDIP/a-2.png", "..\\..\\RVL_CDIP\\a-2.png", "/etc/passwd", "file:///etc/passwd",
        "RVL_CDIP/a\0.png", "RVL_CDIP/" + "b" * 5000, "RVL_CDIP/b-2.png", "a-1.png", "..", "/",
    ],
)  # fmt: skip
def test_names_never_lead_out_of_the_folder(tmp_path: Path, name: str) -> None:
    outside = tmp_path / "secret" / "RVL_CDIP"
    outside.mkdir(parents=True)
    (outside / "a-2.png.json").write_text(json.dumps({"width": 800, "height": 1000, "lines": LINES}))
    path = data(tmp_path / "in", [item(cot(), image=name), item(cot())])
    examples, reasons = read(path, tmp_path / "in")
    assert len(examples) == 1 and reasons == ["no OCR result"]


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside" / "RVL_CDIP"
    outside.mkdir(parents=True)
    (outside / "b-2.png.json").write_text(json.dumps(LINES))
    path = data(tmp_path / "in", [item(cot(), image="RVL_CDIP/b-2.png")])
    here = tmp_path / "in/LayoutLLM_data/sft_data/ocr_results/RVL_CDIP"
    (here / "b-2.png.json").symlink_to(outside / "b-2.png.json")
    (tmp_path / "in/way").symlink_to(tmp_path / "outside")
    assert read(path, tmp_path / "in") == ([], ["no OCR result"])


def test_evaluation_files_are_refused(tmp_path: Path) -> None:
    for name in ("eval_data/VIE.jsonl", "x/VIE_CORD.jsonl", "x/funsd_test.json"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("[]")
        with pytest.raises(TrainingError, match="evaluation data"):
            read(path, tmp_path)


def test_missing_files_are_errors_of_the_tree(tmp_path: Path) -> None:
    with pytest.raises(DocumentNotFound):
        read(tmp_path / "sft.json", tmp_path)
    (tmp_path / "sft.json").write_text("[]")
    with pytest.raises(DocumentNotFound):
        read(tmp_path / "sft.json", tmp_path / "nowhere")
    with pytest.raises(RecipeError, match="nothing for 'layoutcot'"):
        read(tmp_path / "sft.json", tmp_path)


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
    path = data(tmp_path, [item(cot())])
    (tmp_path / "LayoutLLM_data/sft_data/images/RVL_CDIP/a-1.png").write_bytes(b"\x89PNG")
    assert read(path, tmp_path) == ([], ["a damaged file"])


# -- OCR results ---------------------------------------------------------------------------------------------


def corners(x0: int, y0: int, x1: int, y1: int) -> list[list[int]]:
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


def words(text: str, box: list[int]) -> list[dict[str, Any]]:
    x0, y0, _, y1 = box
    return [{"text": t, "box": [x0 + 40 * n, y0, x0 + 40 * n + 35, y1]} for n, t in enumerate(text.split())]


POINTS = [{"text": e["text"], "points": corners(*e["box"])} for e in LINES]
FORMS: dict[str, Any] = {
    "points": POINTS,
    "eight numbers": [{"text": e["text"], "poly": [v for p in e["points"] for v in p]} for e in POINTS],
    "an object around": {"img": "a-1.png", "document": LINES},
}


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_ocr_results(name: str) -> None:
    found = page_of(FORMS[name], Image.new("L", (800, 1000)))
    assert not isinstance(found, str), found
    assert [line.text for line in found.lines or ()] == [e["text"] for e in LINES]
    assert (found.lines or ())[4].box.y0 == 800 and (found.lines or ())[4].box.x0 == 62.5


def test_words_with_boxes_are_grouped_to_lines() -> None:
    raw = {"width": 1000, "height": 1000, "words": words("the total is here", [100, 50, 0, 70])}
    found = page_of(raw, None)
    assert not isinstance(found, str) and [line.text for line in found.lines or ()] == ["the total is here"]


NO_LIST = "not a list of texts, or too many, in the OCR result"
NO_BOX = "a box that is none or lies outside the page"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], NO_LIST),
        ([{"text": 7, "box": [0, 0, 1, 1]}], NO_LIST),
        ([{"text": "\ud800", "box": [0, 0, 1, 1]}], NO_LIST),
        ([{"text": "a", "box": [0, 0, 1, 1]}] * 6000, NO_LIST),
        ({"data": LINES}, NO_LIST),
        (7, NO_LIST),
        ([{"text": "a", "box": [0, 0, float("nan"), 1]}], NO_BOX),
        ([{"text": "a", "box": [0, 0, 1]}], NO_BOX),
        ([{"text": "a"}], NO_BOX),
        ([{"text": "a", "box": [0, 0, 1200, 1]}], NO_BOX),
    ],
)
def test_ocr_results_that_are_none(lines: Any, reason: str) -> None:
    assert page_of({"width": 800, "height": 1000, "lines": lines}, None) == reason


@pytest.mark.parametrize("raw", [LINES, {"width": 0, "height": 9, "lines": LINES}, {"width": "800"}, 7])
def test_pixels_need_the_pages_size(raw: Any) -> None:
    assert page_of(raw, None) == "a page of unknown size"


# -- any page at any time ------------------------------------------------------------------------------------

TASK = item("A form with a number, a date and a total.", "Describe the document.")


def pages(folder: Path, count: int = 5, *, broken: tuple[int, ...] = ()) -> Path:
    """As many pictures, a LayoutCoT and a description each; the OCR of the broken ones is missing."""
    items: list[dict[str, Any]] = []
    for number in range(count):
        name = f"RVL_CDIP/p{number}.png"
        items += [item(cot(), f"What is the grand total of {number}?", name), {**TASK, "image": name}]
    found = data(folder, items, picture=False)
    for number in set(range(count)) - set(broken):
        path = folder / f"LayoutLLM_data/sft_data/ocr_results/RVL_CDIP/p{number}.png.json"
        path.write_text(json.dumps({"width": 800, "height": 1000, "lines": LINES}))
    return found


def of(folder: Path, count: int = 5, *, seed: int = 0, broken: tuple[int, ...] = ()) -> Released:
    return Released.read([pages(folder, count, broken=broken)], folder, "layoutcot", seed=seed)


def names(found: Released, numbers: range) -> list[str]:
    return [found(number).source for number in numbers]


def test_a_stage_gets_its_own_kind_of_question(tmp_path: Path) -> None:
    path = pages(tmp_path)
    kinds: tuple[Wanted, Wanted] = "layoutcot", "pretraining"
    cots, tasks = ([q for e in read(path, tmp_path, kind)[0] for q in e.questions] for kind in kinds)
    assert len(cots) == 5 and all(isinstance(q, QA) for q in cots)
    assert len(tasks) == 5 and all(isinstance(q, Instruction) and q.task == "DDD" for q in tasks)


def test_every_pass_holds_each_page_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    found = of(tmp_path, 7, seed=3)
    first, second = names(found, range(7)), names(found, range(7, 14))
    assert sorted(first) == sorted(second) and len(set(first)) == 7 and first != second
    assert names(pickle.loads(pickle.dumps(found)), range(7)) == first
    assert names(of(tmp_path, 7, seed=4), range(7)) != first


def test_a_page_of_no_use_gives_its_turn_to_another(tmp_path: Path) -> None:
    found = of(tmp_path, 6, broken=(1, 4))
    seen = names(found, range(12))
    assert set(seen) == {f"released/sft/p{n}.png" for n in (0, 2, 3, 5)} and names(found, range(12)) == seen


def test_where_no_page_can_be_used_it_says_why(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no OCR result.*--released-folder"):
        of(tmp_path, 3, broken=(0, 1, 2))(0)


def test_files_without_the_wanted_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"nothing for 'pretraining'.*this stage"):
        read(data(tmp_path, [item(cot())]), tmp_path, "pretraining")


def test_the_index_is_named_by_its_content_and_written_anew_where_it_was_damaged(
    tmp_path: Path, home: Path
) -> None:
    first = of(tmp_path)
    example = first(0)
    first.index.write_bytes(b"cut off")
    again = of(tmp_path)
    assert again.digest == first.digest and again(0) == example
    (tmp_path / "more").mkdir()
    assert of(tmp_path / "more", 6).digest != first.digest
    assert len(list((home / "released").iterdir())) == 2


def test_stages_take_their_pages_from_it(tmp_path: Path) -> None:
    recipe = load_recipe("paper-7b")
    sources = Sources(released=(pages(tmp_path),), released_folder=tmp_path)
    for data_of in ("pretraining", "layoutcot", "documents"):
        examples = stage_examples(recipe, Stage("sft", data_of), sources)
        assert isinstance(examples, Released) and fingerprint(examples) == examples.digest
        questions = examples(0).questions
        assert all(isinstance(q, Instruction) == (data_of == "pretraining") for q in questions)


def test_the_command_trains_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = pages(tmp_path)
    monkeypatch.setattr(run, "begin", lambda _: tiny.smol())
    monkeypatch.setattr(run, "export", lambda outcome, _: seen.append(outcome))
    seen: list[run.Outcome] = []
    settings = ["pages=4", "pages_per_step=2", "batch=1", "workers=0", "questions=2"]
    told = ["train", "--recipe", "smoke", "--out", str(tmp_path / "run")]
    told += ["--released", str(path), "--released-folder", str(tmp_path)]
    told += [flag for setting in settings for flag in ("--set", setting)]
    assert main(told) == 0, capsys.readouterr().err
    tasks, cots = (Released.read([path], tmp_path, kind).digest for kind in ("pretraining", "layoutcot"))
    assert seen[0].finished and seen[0].facts["stage_1_data_sha256"] == tasks
    assert seen[0].facts["stage_2_data_sha256"] == cots
