"""A stack of pages -> documents, by what stands on the pages."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.documents.page_kinds import KINDS, PageKind, kind_of, kinds_of, title_of
from layoutllm_tool.documents.splitting import Part, cuts, split
from layoutllm_tool.testing import page_from_text

INVOICE = "INVOICE\nInvoice number:  INV-77120\nRamp for the loading bay\nPage 1 of 2"
INVOICE_2 = "Invoice number:  INV-77120\nAmount due  912.00\nPage 2 of 2"
LETTER = "Dear Mr Oakes,\nthe gutters were cleaned on Friday.\nYours faithfully\nR. Birch"
OTHER_LETTER = "Dear Mrs Thorn,\nthank you for the plums.\nKind regards\nAda"


def stack(*texts: str, size: tuple[int, int] = (1654, 2339)) -> Document:
    pages = (page_from_text(text, number=number) for number, text in enumerate(texts, start=1))
    return Document("stack.pdf", "00", tuple(replace(p, width=size[0], height=size[1]) for p in pages))


def ranges(parts: list[Part]) -> list[tuple[int, int]]:
    return [(part.first, part.last) for part in parts]


def test_documents_are_told_apart_and_named() -> None:
    parts = split(stack(INVOICE, INVOICE_2, LETTER, OTHER_LETTER))
    assert [(p.first, p.last, p.kind) for p in parts] == [
        (1, 2, "invoice"), (3, 3, "letter"), (4, 4, "letter"),
    ]  # fmt: skip
    assert parts[0].reasons == () and "The page before is the last by its number." in parts[1].reasons


def test_a_page_number_that_follows_keeps_pages_together_that_share_nothing_else() -> None:
    assert ranges(split(stack("Plums\nPage 1 of 2", "Gutters\nPage 2 of 2"))) == [(1, 2)]
    assert ranges(split(stack("Plums\nPage 1 of 2", "Gutters\nPage 1 of 2"))) == [(1, 1), (2, 2)]


@pytest.mark.parametrize("mark", ["Seite {} von {}", "Sheet {} of {}", "Page {}/{}", "{}/{} ページ"])
def test_page_numbers_in_several_forms(mark: str) -> None:
    pages = [f"Text {'abc'[n]}\n{mark.format(n % 2 + 1, 2)}" for n in (0, 1, 2)]
    assert ranges(split(stack(*pages))) == [(1, 2), (3, 3)]


def test_another_size_begins_a_document() -> None:
    given = stack(LETTER, "Dear Mr Oakes,\nthe gutters leak.")
    turned = replace(given.pages[1], width=2339, height=1654)
    (same,), (other,) = cuts(given.pages), cuts((given.pages[0], turned))
    assert other.likely > same.likely and "It has another size than the page before." in other.reasons


def test_numbers_that_pages_share_keep_them_together() -> None:
    (without,) = cuts(stack(LETTER, "The invoice\nis enclosed.").pages)
    (with_number,) = cuts(stack(f"{LETTER}\nOur ref 4471-0099", "The invoice\nour ref 4471-0099").pages)
    assert with_number.likely < without.likely


def test_no_page_is_no_document_and_a_blank_page_is_one() -> None:
    assert split(Document("none", "00", ())) == []
    (part,) = split(stack(""))
    assert part == Part(1, 1, None, 1.0, ())


@given(
    st.lists(st.sampled_from([INVOICE, INVOICE_2, LETTER, OTHER_LETTER, "", "Page 0 of 0\n9/2"]), max_size=8)
)
def test_every_page_is_in_one_document(texts: list[str]) -> None:
    parts = split(stack(*texts))
    assert [n for part in parts for n in range(part.first, part.last + 1)] == list(range(1, len(texts) + 1))
    assert all(0 <= part.confidence <= 1 for part in parts)


def test_a_title_counts_more_than_words_and_only_above() -> None:
    assert title_of(page_from_text(INVOICE), KINDS) == "invoice"
    body = "\n".join(["Some words about the garden and its many old walls"] * 9)
    assert title_of(page_from_text(f"{body}\nInvoice"), KINDS) is None


def test_kinds_of_ones_own() -> None:
    kinds = kinds_of({"survey": {"titles": ["Gutter survey"]}, "thanks": {"words": ["plums"]}})
    assert kinds["survey"] == PageKind(("gutter survey",), ())
    assert kind_of([page_from_text("GUTTER SURVEY")], kinds) == "survey"
    assert kind_of([page_from_text(OTHER_LETTER)], kinds) == "thanks"
    assert kind_of([page_from_text(LETTER)], kinds) is None


@pytest.mark.parametrize(
    "data", [{}, {"a": {}}, {"a": 1}, {"a": {"titles": "invoice"}}, {"a": {"words": [1]}}]
)
def test_what_is_no_kind_is_told(data: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="kind"):
        kinds_of(data)
