"""Tables drawn from FeTaQA and WikiTableQuestions, and LayoutCoT's mixture."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from layoutllm_tool.errors import DocumentNotFound, DocumentUnreadable, LayoutLLMError, RecipeError
from layoutllm_tool.training import html, mrc, tables
from layoutllm_tool.training.data import digest
from layoutllm_tool.training.recipe import shares_of
from layoutllm_tool.training.sampling import WEIGHTS, LayoutCoTMixture
from layoutllm_tool.training.schema import QA, Example
from tests.training.pages import RECEIPTS, TABLES, check, needs_receipts, needs_tables
from tests.training.test_html import LACKING, needs_weasyprint

ROWS = [
    ["Year", "Film", "Role"],
    ["2011", "The Long Road", "Ann"],
    ["2012", "Rain", "Bo"],
    ["2013", "Harbour", "Cy"],
]


def folder(path: Path, **changes: Any) -> Path:
    """Small files of the three kinds."""
    feta = {
        "feta_id": 5,
        "table_page_title": "Ann Lee",
        "table_section_title": "Films",
        "table_array": ROWS,
        "highlighted_cell_ids": [[2, 1], [2, 0], [99, 0]],
        "question": "What did she play in 2012?",
        "answer": "In 2012 she was in Rain.",
    }
    asked = [
        ("which film has the role bo?", ["Rain"]),
        ("how many films?", ["2011"]),
        ("which ones?", ["Rain", "Harbour"]),
        ("who?", ["X"]),
    ]
    questions = [
        {"id": str(n), "question": q, "table": "csv/1-csv/2.csv", "answers": a}
        for n, (q, a) in enumerate(asked)
    ]
    files: dict[str, list[dict[str, Any]]] = {
        "fetaqa_dev": [feta | changes],
        "wikitable_questions": questions,
        "wikitables": [{"id": "csv/1-csv/2.csv", "rows": ROWS}],
    }
    for name, entries in files.items():
        with gzip.open(path / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(entry) + "\n" for entry in entries)
    return path


def only(example: Example | None) -> QA:
    """The page's one answered question."""
    assert example is not None
    check(example)
    (qa,) = [qa for qa in example.questions if isinstance(qa, QA) and qa.answer is not None]
    return qa


def test_a_free_answer_follows_from_the_highlighted_cells(tmp_path: Path) -> None:
    (item,) = tables.fetaqa(folder(tmp_path))
    example = mrc.page_of(item, Random(1))
    qa = only(example)
    assert qa.answer == "In 2012 she was in Rain." and qa.words == () and qa.analysis.operation == "reasoning"
    assert qa.analysis.key == "Year, Film" and qa.formation.key == "Year: 2012; Film: Rain"
    assert example and {"2012", "Rain"} <= set(
        " ".join((example.page.lines or ())[n].text for n in qa.lines).split()
    )
    assert example.page.text.startswith("Ann Lee\nFilms")


def test_only_questions_that_one_cell_answers_are_asked(tmp_path: Path) -> None:
    (item,) = tables.wiki_tables(folder(tmp_path))
    assert [(a.answer, a.cells) for a in item.asked] == [("Rain", ((2, 1),))]
    qa = only(mrc.page_of(item, Random(2)))
    assert (qa.answer, qa.analysis.key, qa.analysis.operation) == ("Rain", "Film", "extraction")
    assert qa.formation.relation in ("right of", "inside") and qa.formation.key == "2012"


@pytest.mark.parametrize(
    "changes",
    [
        {"table_array": [["A", "B"], ["x " * 200, "y " * 200]]},
        {"table_array": [["A", "B"], ["\u4e2d\u6587", "y"]], "highlighted_cell_ids": [[1, 1]]},
        {"table_array": "rows"},
        {"table_array": [["A"], ["x", "y"]]},
        {"highlighted_cell_ids": [[-1, 0], ["0", 1], None]},
        {"answer": None},
    ],
)
def test_tables_that_are_no_use_are_left_out(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(DocumentUnreadable, match="no usable table"):
        tables.fetaqa(folder(tmp_path, **changes))


def test_damaged_and_missing_files_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DocumentNotFound, match="weight `mrc` to 0"):
        tables.fetaqa(tmp_path)
    for n, raw in enumerate(
        (b"no gzip", gzip.compress(b"{}")[:-9], gzip.compress(b"\xff{"), gzip.compress(b"{oops"))
    ):
        own = tmp_path / str(n)
        own.mkdir()
        (own / "fetaqa_dev.jsonl.gz").write_bytes(raw)
        with pytest.raises(DocumentUnreadable, match="Fetch it again"):
            tables.fetaqa(own)


@needs_tables
def test_real_tables_keep_the_schemas_promises() -> None:
    examples = [mrc.example(TABLES, 1, number) for number in range(12)]
    for example in examples:
        check(example)
        assert len(example.page.words) <= tables.MAX_WORDS and example.page.image is not None
    assert {example.source.split("/")[1] for example in examples} == {"fetaqa", "wikitables"}
    every = [qa for example in examples for qa in example.questions if isinstance(qa, QA)]
    assert {qa.analysis.operation for qa in every if qa.answer} == {"extraction", "reasoning"}
    assert 0.1 < sum(qa.answer is None for qa in every) / len(every) < 0.4
    assert mrc.example(TABLES, 1, 3) == examples[3]


def test_weights_contradict_themselves_loudly() -> None:
    with pytest.raises(RecipeError, match="mrc"):
        shares_of(WEIGHTS, {"mrc": -1})
    with pytest.raises(RecipeError, match="html"):
        shares_of(WEIGHTS, {"html": float("nan")})
    with pytest.raises(RecipeError, match="all weights are 0"):
        shares_of(WEIGHTS, {"html": 0, "documents": 0, "mrc": 0})


def test_a_missing_source_names_the_weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match=r"receipts.*receipts_share to 0.*`documents` to 0"):
        LayoutCoTMixture(weights={"html": 0, "mrc": 0})
    with pytest.raises(RecipeError, match=r"tables.*is not there.*`mrc` to 0"):
        LayoutCoTMixture(tables=tmp_path / "none", weights={"html": 0, "documents": 0})
    monkeypatch.setitem(__import__("sys").modules, "weasyprint", None)
    with pytest.raises(LayoutLLMError, match=r"layoutllm-tool\[html\].*`html` to 0"):
        LayoutCoTMixture(weights={"documents": 0, "mrc": 0})


def test_the_ratio_of_pages_is_the_papers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "require", lambda: None)
    monkeypatch.setattr(html, "example", lambda seed, number: f"html {seed}")
    monkeypatch.setattr(mrc, "example", lambda data, seed, number: f"mrc {seed}")
    monkeypatch.setattr(
        "layoutllm_tool.training.sampling.DocumentMixture.__call__", lambda self, index: f"documents {index}"
    )
    mixture = LayoutCoTMixture(tables=tmp_path, receipts_share=0, seed=2)
    drawn = Counter(str(mixture(index)).split()[0] for index in range(4000))
    assert abs(drawn["html"] / 4000 - 0.5) < 0.03
    assert abs(drawn["documents"] / 4000 - 0.45) < 0.03
    assert abs(drawn["mrc"] / 4000 - 0.05) < 0.015
    swapped = LayoutCoTMixture(
        tables=tmp_path, receipts_share=0, weights={"html": 0, "documents": 0, "mrc": 1}
    )
    assert {str(swapped(index)).split()[0] for index in range(50)} == {"mrc"}


def test_pages_are_a_function_of_seed_and_index(tmp_path: Path) -> None:
    def mixture(seed: int) -> LayoutCoTMixture:
        return LayoutCoTMixture(
            tables=folder(tmp_path),
            receipts_share=0,
            weights={"html": 0, "documents": 1, "mrc": 1},
            seed=seed,
        )

    one, other = mixture(1), mixture(1)
    assert [other(index) for index in (5, 0, 3)] == [one(index) for index in (5, 0, 3)]
    assert digest(one, 4) == digest(other, 4) != digest(mixture(2), 4)


@needs_weasyprint
@needs_tables
@needs_receipts
def test_the_whole_mixture() -> None:
    assert not LACKING
    mixture = LayoutCoTMixture(RECEIPTS, TABLES, seed=1)
    examples = [mixture(index) for index in range(8)]
    for example in examples:
        check(example)
    assert {example.source.split("/")[0] for example in examples} >= {"html", "factory"}
    numbers = [
        int(example.source.split("/")[1]) for example in examples if example.source.startswith("receipts")
    ]
    assert all(number < 400 for number in numbers)
