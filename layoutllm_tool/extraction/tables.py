"""An array of a schema -> the rows of the document's table that it means, as a LayoutCoT. Pure.

Rows within rows: what stands below an item (sub-items, reductions), or the rows below a title, where the
outer rows are the titles.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from layoutllm_tool.cot import AnswerFormation, Area, Evidence, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents.geometry import Box, Document, box_of
from layoutllm_tool.documents.line_items import Row, Table, read_tables
from layoutllm_tool.documents.tables import Indices
from layoutllm_tool.extraction.choices import says_payment
from layoutllm_tool.extraction.row_cells import (
    Array,
    Cell,
    Record,
    add_dates,
    below_item,
    cell_of,
    complete,
    is_reduction,
    item,
    lines_of,
)
from layoutllm_tool.extraction.row_choice import chosen
from layoutllm_tool.extraction.row_grids import grid_rows
from layoutllm_tool.extraction.row_sections import section_cells
from layoutllm_tool.extraction.row_ticks import YES_NO, lettered_cells, ticked_cells
from layoutllm_tool.extraction.rows import (
    ANY_TABLE,
    Match,
    Similarity,
    Wanted,
    lines_above,
    matches,
    normal,
    number_and_text,
    roles_of,
)

MOST_ROWS = 2000
"""Of a table; a longer one is cut."""
_SAID, _NOT_READ = 0.8, 0.95
"""Least score of the columns of a second table; confidence of a title above a table."""
_OTHERS = 0.8
"""What is left of a cell's confidence where no title says that this table is meant."""
_PAID = re.compile(
    r"(?i)\b(?:payments?|paid|received|deposits?|prepayments?|(?:an)?zahlung(?:en)?|acomptes?|paiements?)\b"
)
_NO_PARTS = re.compile(
    r"(?i)\b(?:without|no|not|excluding|except|ohne|sans|sin)\b[^.]*"
    r"\b(?:extras?|modifiers?|sub-?items?|add-?ons?|options?|toppings?|zusätze|beilagen)\b"
)
_NEGATIVE = re.compile(r"(?i)negativ|\bcredits?\b|gutschrift|\bdiscounts? ")
_OF_LINES = re.compile(r"(?i)\blines?\b|\bzeilen?\b|\blignes?\b|\bunder\b|\bbelow\b|\bsmall print\b")
_OF_TWO = re.compile(r"(?i)[/&+]|\b(?:and|und|et|y|en)\b")
_OF_ITEM = re.compile(
    r"(?i)\b(?:item|article|product|goods|artikel|produkt|ware|article|artículo|prodotto)\b"
)
_BELOW = 0.85
"""Confidence of the item above a reduction."""
_MARKS = ({"S", "H"}, {"DR", "CR"}, {"D", "C"}, {"+", "-"})
"""Of debit and credit."""


def rows_of(
    document: Document, question: str, array: Array, similarity: Similarity
) -> tuple[LayoutCoT, list[Record]]:
    """The table's rows over all pages, and where they stand.

    The answer is None, without rows, where no table has columns that are wanted.
    """
    array = replace(array, name=re.sub(r"(?<=[^\W\d_A-Z])(?=[A-Z])", " ", array.name))
    if grid := grid_rows(document, array):
        return _grid_cot(document, question, array, grid), grid
    tables = [_signed(document, table) for table in _joined(read_tables(document.pages))]
    wanted = list(array.columns.values())
    found = matches(document, tables, array.name, wanted, similarity)
    inner = next(iter(array.inner.items()), None)
    if inner and (grouped := _grouped(document, tables, array, *inner, similarity)):
        return _cot(document, question, array.name, *grouped), grouped[1]
    if not found:
        return _nothing(question, array.name), []
    best, certain = _by_line(document, found[0], wanted), 1.0 if found[0].named else _OTHERS
    if not found[0].named and _PAID.search(array.name) and (paid := _paid(document, tables, array)):
        return _cot(document, question, array.name, best, paid), paid
    if roles_of(array.name) & {"discount"}:
        reduced = _reduced(document, tables, array)
        return _cot(document, question, array.name, best, reduced), reduced
    alike = [best, *(match for match in found[1:] if _is_alike(best, match, array.name))]
    records: list[Record] = []
    for match in sorted(alike, key=lambda one: (one.table.rows[0].page, _top(document, one.table.rows[0]))):
        records += _records(document, match, array, question, certain)
    return _cot(document, question, array.name, best, records[:MOST_ROWS]), records[:MOST_ROWS]


def _records(document: Document, match: Match, array: Array, question: str, certain: float) -> list[Record]:
    """Of one table's items, with the boxes in their rows and the title above them."""
    all_items = list(_items(match.table, array, question))
    items = chosen(document, all_items, match, array, question)
    records = [item(document, match, array, rows, certain) for rows in items]
    firsts = [rows[0] for rows in items]
    complete(document, match, array, firsts, records)
    add_dates(document, match, array, [rows[0] for rows in all_items], firsts, records)
    ticks = ticked_cells(document, match.table, firsts, array.columns)
    for cells, letters in zip(
        ticks, lettered_cells(document, match.table, firsts, array.columns), strict=True
    ):
        cells |= letters
    sections = section_cells(document, match, firsts, array.columns)
    titles = _titles(document, match.table, array)
    for record, cells, above in zip(records, ticks, sections, strict=True):
        record |= {name: cell for name, cell in (titles | cells).items() if record[name] is None} | above
    return records


def _is_alike(best: Match, match: Match, name: str) -> bool:
    """Whether another table has the same of the columns wanted, by their heads, for an array of any rows."""
    pairs = list(zip(best.columns, match.columns, match.scores, strict=True))
    same = all((a is None) == (b is None) for a, b, _ in pairs)
    sure = min((score for _, b, score in pairs if b is not None), default=0.0)
    heads = any(best.table.headers) and any(match.table.headers)
    return normal(name) in ANY_TABLE and len(pairs) > 2 and same and heads and sure >= _SAID


def _titles(document: Document, table: Table, array: Array) -> Record:
    """By column with choices the line above the table that is one of them: its section."""
    found: Record = {}
    for name, wanted in array.columns.items():
        choices = {normal(choice) for choice in wanted.choices}
        line = next((one for one in lines_above(document, table) if normal(one.text) in choices), None)
        if line and tuple(wanted.choices) != YES_NO:
            page = table.rows[0].page
            found[name] = asdict(Cell(line.text, page, line.box.as_list(), _NOT_READ))
    return found


def _reduced(document: Document, tables: Sequence[Table], array: Array) -> list[Record]:
    """The reductions of all tables, for an array of discounts."""
    texts = [name for name, want in array.columns.items() if _names_item(want)]
    own = texts[:1] if len(array.columns) > 2 else []
    rest = {name: want for name, want in array.columns.items() if name not in own}
    found: list[Record] = []
    for table in tables:
        above = None
        for row in table.rows:
            if row.role == "discount":
                item_of = {name: _text_of(document, table, above) for name in own}
                found.append(item_of | below_item(document, table, row, rest))
            else:
                above = row
    return found


def _names_item(want: Wanted) -> bool:
    return bool(_OF_ITEM.search(want.words[0])) and want.type not in ("money", "number")


def _text_of(document: Document, table: Table, row: Row | None) -> dict[str, Any] | None:
    column = number_and_text(table, row, document)[1] if row else None
    return cell_of(document, table, row, column, _BELOW) if row else None


def _paid(document: Document, tables: Sequence[Table], array: Array) -> list[Record]:
    """Payments among the sums, from lists without heads first: there their texts are whole."""
    found: dict[tuple[int, Indices], Record] = {}
    for table in sorted(tables, key=lambda table: any(table.headers)):
        for row in (row for row in table.left_out if row.role == "sum"):
            words = [
                (document.page(row.page).lines or ())[i].words[j].text for cell in row.cells for i, j in cell
            ]
            amount, _ = number_and_text(table, row, document)
            at = row.page, row.cells[amount][-1:] if amount is not None else ()
            said = " ".join(words)
            if at[1] and at not in found and (_PAID.search(said) or says_payment(said)):
                found[at] = below_item(document, table, row, array.columns)
    return [found[at] for at in sorted(found)]


def _joined(tables: Iterable[Table]) -> list[Table]:
    """Tables of the same heads on later pages go on: columns that shift a little begin a new one."""
    found: list[Table] = []
    for table in (table for table in tables if table.rows):
        before = next((i for i, one in enumerate(found) if _goes_on(one, table)), None)
        if before is None:
            found.append(table)
            continue
        rows, left = (*found[before].rows, *table.rows), (*found[before].left_out, *table.left_out)
        found[before] = replace(found[before], rows=rows, left_out=left)
    return found


def _signed(document: Document, table: Table) -> Table:
    """With the column of debit and credit behind an amount ("S" and "H", "DR" and "CR") as part of it."""
    for column in range(1, len(table.headers)):
        marks = {table.text(document.page(r.page), r, column) for r in table.rows if r.cells[column]}
        if table.kinds[column - 1] == "amount" and len(marks) == 2 and marks in _MARKS:
            return replace(table, rows=tuple(_merged(row, column) for row in table.rows))
    return table


def _merged(row: Row, column: int) -> Row:
    cells = list(row.cells)
    cells[column - 1] = (*cells[column - 1], *cells[column])
    return replace(row, cells=tuple(cells))


def _goes_on(before: Table, table: Table) -> bool:
    later = table.rows[0].page > before.rows[-1].page
    return later and any(table.headers) and table.headers == before.headers


def _items(table: Table, array: Array, question: str) -> Iterator[list[Row]]:
    """Each item's row, with those below it. Without rows in rows, parts with an amount are items too, unless
    the schema says that they are not; reductions are, where it speaks of negative amounts.
    """
    nested = bool(array.inner) or _NO_PARTS.search(question) is not None
    told = " ".join(want.description for want in array.columns.values())
    apart = "/" in "".join(array.columns) or any(map(is_reduction, array.columns.values()))
    reductions = not nested and not apart and _NEGATIVE.search(told)
    own: list[Row] = []
    for row in table.rows:
        alone = (row.role == "part" and not nested) or (row.role == "discount" and reductions)
        if row.role == "item" or alone or not own:
            if own:
                yield own
            own = [row]
        else:
            own.append(row)
    if own:
        yield own


def _by_line(document: Document, match: Match, wanted: Sequence[Wanted]) -> Match:
    """With a column of its own for the second lines of a column, where one text is wanted beside another, and
    the schema speaks of lines or the head of two things.
    """
    texts = [i for i, want in enumerate(wanted) if want.type in ("text", "name") and not want.choices]
    missing = [i for i in texts if match.columns[i] is None]
    table = match.table
    if len(missing) != 1:
        return match
    for i in texts:
        column = match.columns[i]
        if column is None or table.kinds[column] != "text":
            continue
        told = f"{wanted[i].description} {wanted[missing[0]].description}"
        lines = [lines_of(document, row, column) for row in table.rows]
        often = 4 * sum(len(own) > 1 for own in lines) >= len(lines)
        if often and (_OF_LINES.search(told) or _OF_TWO.search(table.headers[column])):
            first, second = sorted((i, missing[0]))
            rows = tuple(map(_halved, table.rows, lines, [column] * len(lines)))
            headers, kinds = (*table.headers, ""), (*table.kinds, "text")
            columns, scores = list(match.columns), list(match.scores)
            columns[first], columns[second] = column, len(table.headers)
            scores[missing[0]] = scores[i]
            split = replace(table, headers=headers, kinds=kinds, rows=rows)
            return replace(match, table=split, columns=tuple(columns), scores=tuple(scores))
    return match


def _halved(row: Row, lines: Sequence[Indices], column: int) -> Row:
    """The row with the first line in the column and the others in a new one."""
    first = lines[0] if lines else ()
    cells = (*row.cells[:column], first, *row.cells[column + 1 :])
    below = tuple(replace(one, cells=(*one.cells, ())) for one in row.below)
    return replace(row, cells=(*cells, tuple(at for line in lines[1:] for at in line)), below=below)


def _grouped(
    document: Document, tables: Sequence[Table], array: Array, name: str, inner: Array, similarity: Similarity
) -> tuple[Match, list[Record]] | None:
    """Titles within a table as the outer rows, the rows below each as its inner ones."""
    titled = [table for table in tables if any(row.role == "title" for row in table.left_out)]
    found = matches(document, titled, inner.name, list(inner.columns.values()), similarity)
    if not found or not array.columns:
        return None
    best = found[0]
    titles = [row for row in best.table.left_out if row.role == "title"]
    records: list[Record] = []
    within: list[tuple[Row, Record]] = []
    for row in sorted((*best.table.rows, *titles), key=lambda row: (row.page, _top(document, row))):
        if row.role == "title":
            records.append({**below_item(document, best.table, row, array.columns), name: []})
        elif records:
            within.append((row, item(document, best, inner, [row], 1.0)))
            records[-1][name].append(within[-1][1])
    complete(document, best, inner, [row for row, _ in within], [record for _, record in within])
    return best, records


def _top(document: Document, row: Row) -> float:
    return min(box_of(document.page(row.page), cell).y0 for cell in row.cells if cell)


def _cells(records: Iterable[Record]) -> Iterator[dict[str, Any]]:
    for record in records:
        for value in record.values():
            if isinstance(value, list):
                yield from _cells(value)
            elif value is not None:
                yield value


def _cot(document: Document, question: str, name: str, match: Match, records: list[Record]) -> LayoutCoT:
    chosen = [column for column in match.columns if column is not None]
    evidence = tuple(
        Evidence.of(document.page(row.page), row.cells[column])
        for row in match.table.rows[:MOST_ROWS] for column in chosen if row.cells[column]
    )  # fmt: skip
    lines: dict[int, set[int]] = {}
    for one in evidence:
        lines.setdefault(one.page, set()).update(line for line, _ in one.words)
    areas = tuple(Area.of(document.page(number), sorted(of)) for number, of in sorted(lines.items()))
    heads = ", ".join(match.table.headers[column] or "(no header)" for column in chosen)
    answer = "; ".join(" | ".join(cell["text"] for cell in _cells([record])) for record in records)
    sure = [cell["confidence"] for cell in _cells(records)]
    return LayoutCoT(
        question, QuestionAnalysis("table", "extraction", name), areas, AnswerFormation("below", heads),
        answer, round(sum(sure) / max(len(sure), 1), 4), evidence, _signals(match),
    )  # fmt: skip


def _grid_cot(document: Document, question: str, array: Array, records: list[Record]) -> LayoutCoT:
    """Of a grid of tick boxes, whose cells are no words of a table."""
    cells = list(_cells(records))
    evidence = tuple(Evidence(cell["page"], Box(*cell["box"]), cell["text"], ()) for cell in cells)
    page, whole = document.page(cells[0]["page"]), Box.union(one.box for one in evidence)
    lines = [i for i, line in enumerate(page.lines or ()) if whole.covers(line.box)]
    heads = ", ".join(want.words[0] for want in array.columns.values())
    answer = "; ".join(" | ".join(cell["text"] for cell in _cells([record])) for record in records)
    sure = sum(cell["confidence"] for cell in cells) / len(cells)
    signals = {"table_score": 1.0, "columns_found": 1.0, "table_named": 1.0}
    return LayoutCoT(
        question, QuestionAnalysis("table", "extraction", array.name),
        (Area.of(page, lines),) if lines else (), AnswerFormation("below", heads),
        answer, round(sure, 4), evidence, signals,
    )  # fmt: skip


def _signals(match: Match) -> dict[str, float]:
    found = sum(column is not None for column in match.columns)
    share = found / max(len(match.columns), 1)
    return {"table_score": match.score, "columns_found": share, "table_named": float(match.named)}


def _nothing(question: str, name: str) -> LayoutCoT:
    analysis = QuestionAnalysis("table", "extraction", name)
    return LayoutCoT(question, analysis, (), AnswerFormation("none", ""), None, 0.5)
