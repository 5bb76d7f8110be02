"""Where options come from: the values of printed keys, cells, rows, spans and pieces of sentences, blocks,
marks, lines that go on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from layoutllm_tool.documents.key_values import GAPS
from layoutllm_tool.documents.page_layout import PageLayout, PlacedWord, Run
from layoutllm_tool.documents.search import is_common, plain
from layoutllm_tool.model.expected_type import TYPES, expected_type, shapes
from layoutllm_tool.model.options import Asked, Found, option_of
from layoutllm_tool.model.page_index import PageIndex, parts, text_of
from layoutllm_tool.model.pair_head import PairHead, Scored

NEAREST = 8
"""Printed keys taken from the sentence encoder."""
KEPT = 5
"""Candidates of one key that are weighed further."""
HEADERS, LABELS = 6, 3
"""Segments nearest in meaning that may head a column, and label a row."""
TYPED_SENTENCES, SENTENCES, LONGEST_SENTENCE = 12, 3, 60
"""Sentences nearest in meaning of which spans of the expected type are taken, all that look like values;
words of one.
"""
CONTEXT = 8
"""Words before a span that stand for it."""
NAMED_ROWS, LEAST_SAID = 3, 0.3
"""Rows that say most of the question; least share of it."""
GROWN = 3
"""Lines by which the model's answer may go on."""
ENDS = 6
"""Segments at the top and at the bottom of the page that may answer without a key."""
_MARKED = re.compile(r"^\W{0,2}[xX✓✔☑☒✗✘■●√]\W{0,2}$")
_REGISTERED = re.compile(r"\s*\([^()]*\d{4}[^()]*\)?$")


def add_values(found: Found, source: str, scored: Scored, match: float, places: int) -> None:
    for rank, at in enumerate(np.argsort(-scored.logprobs)[:KEPT]):
        candidate, logp = scored.found[at], float(scored.logprobs[at])
        option = option_of(found, candidate.words, candidate.key, candidate.side)
        if logp <= option.evidence.get(f"{source}_logp", -99.0):
            continue
        option.evidence |= {
            f"{source}_logp": logp, f"{source}_p": float(np.exp(logp)), f"{source}_match": match,
            f"{source}_top": float(rank == 0), f"{source}_places": float(np.log1p(places)),
        }  # fmt: skip
        if option.pair is None:
            option.pair = scored.features[at]


def add_nearest(found: Found, index: PageIndex, asked: Asked, head: PairHead) -> None:
    """Candidates of the keys nearest in meaning."""
    if asked.likeness is None:
        return
    order = np.argsort(-asked.likeness)[:NEAREST]
    for rank, at in enumerate(order):
        scored, near = index.beside(int(at), head), float(asked.likeness[at])
        for place in np.argsort(-scored.logprobs)[:KEPT]:
            candidate, p = scored.found[place], float(np.exp(scored.logprobs[place]))
            option = option_of(found, candidate.words, candidate.key, candidate.side)
            if p * near <= option.evidence.get("meaning_p", 0.0) * option.evidence.get("meaning", 0.0):
                continue
            leads = rank == 0 and len(order) > 1
            option.evidence |= {
                "meaning_p": p, "meaning": near, "meaning_rank": 1 / (1 + rank),
                "meaning_gap": float(asked.likeness[order[0]]) - near,
                "meaning_lead": near - float(asked.likeness[order[1]]) if leads else 0.0,
            }  # fmt: skip
            if not option.key or "quoted_p" not in option.evidence:
                option.key, option.side = candidate.key, candidate.side
            if option.pair is None:
                option.pair = scored.features[place]


def add_cells(found: Found, index: PageIndex, asked: Asked) -> None:
    """Where the row that a segment labels meets the column that another heads."""
    said = [share_said(run, asked.words) for run in index.segments]
    near = asked.likeness if asked.likeness is not None else np.zeros(len(said), np.float32)
    order = [int(at) for at in np.argsort(-near)]
    named = [at for at, share in enumerate(said) if share >= 0.6][:HEADERS]
    rows, columns = {*named, *order[:LABELS]}, {*named, *order[:HEADERS]}
    for row in rows:
        for column in columns - {row}:
            cell = cell_of(index.layout, index.segments[row], index.segments[column])
            if not cell:
                continue
            option = option_of(found, cell, index.segments[row], "right")
            label = f"{text_of(index.segments[row])} {text_of(index.segments[column])}"
            worth = said[row] + said[column] + float(near[row] + near[column])
            if worth > option.evidence.get("cell_worth", 0.0):
                option.cell = label
                option.evidence |= {
                    "cell": 1.0, "cell_worth": worth, "row_said": said[row], "column_said": said[column],
                    "row_meaning": float(near[row]), "column_meaning": float(near[column]),
                }  # fmt: skip


def share_said(run: Run, words: frozenset[str]) -> float:
    """Share of the run's words that the question says."""
    own = [word for word in (plain(w.text) for w in run) if word]
    return sum(word in words for word in own) / len(own) if own else 0.0


def cell_of(layout: PageLayout, label: Run, header: Run) -> Run:
    """The words on the label's row under the header, () where there are none."""
    height = header[0].height
    if header[0].middle > label[0].y0 - 0.3 * height:
        return ()
    x0, x1 = min(w.x0 for w in header), max(w.x1 for w in header)
    own = {w.id for w in label}
    row = [
        w for w in layout.between(label[0].y0 - 0.1 * height, label[0].y1 + 0.1 * height) if w.id not in own
    ]
    row.sort(key=lambda w: w.x0)
    run: list[PlacedWord] = []
    for word in row:
        if run and word.x0 - run[-1].x1 > GAPS[0] * height:
            if run[-1].x1 > x0 - height and run[0].x0 < x1 + height:
                return tuple(run)
            run = []
        run.append(word)
    return tuple(run) if run and run[-1].x1 > x0 - height and run[0].x0 < x1 + height else ()


def add_rows(found: Found, index: PageIndex, asked: Asked) -> None:
    """What else stands on the rows that say most of the question."""
    said = index.said_in_rows(asked.words)
    for number in np.argsort(-said)[:NAMED_ROWS]:
        if said[number] < LEAST_SAID:
            break
        runs = list(parts(index.rows[number]))
        label = max(runs, key=lambda run: share_said(run, asked.words))
        for run in runs:
            if run is not label:
                option = option_of(found, run, label, "right")
                option.cell = option.cell or text_of(label)
                option.evidence["row"] = float(said[number])


def add_spans(found: Found, index: PageIndex, asked: Asked) -> None:
    """Spans of the type that the question expects; of the sentences nearest in meaning, all that look like
    a value.
    """
    near = asked.sentence_likeness
    order = list(range(len(index.sentences))) if near is None else [int(at) for at in np.argsort(-near)]
    kind = expected_type(asked.text)
    for rank, at in enumerate(order[:TYPED_SENTENCES]):
        sentence, close = index.sentences[at], near is not None and rank < SENTENCES
        kinds = TYPES if close else (kind,) if kind else ()
        spans = [(run, "span") for one in kinds for run in typed_spans(one, sentence)]
        for run, source in spans + [(run, "chunk") for run in (chunks(sentence) if close else ())]:
            option = option_of(found, run)
            option.evidence[source] = 1.0
            option.evidence["near"] = max(
                float(near[at]) if near is not None else 0.0, option.evidence.get("near", 0.0)
            )
            option.evidence["fits"] = float(bool(kind) and source == "span")
            start = sentence.index(run[0])
            option.before = option.before or text_of(sentence[max(start - CONTEXT, 0) : start])


def typed_spans(kind: str, sentence: Run) -> Iterator[Run]:
    """Runs of words in a sentence that look like a value of that kind."""
    starts, text = [], ""
    for word in sentence:
        starts.append(len(text))
        text += f"{word.text} "
    for start, stop in shapes(kind, text):
        run = tuple(w for w, s in zip(sentence, starts, strict=True) if s < stop and s + len(w.text) > start)
        if run:
            yield run


def chunks(sentence: Run) -> Iterator[Run]:
    """A sentence cut before small words and behind commas: each piece, and each two that follow one
    another.
    """
    pieces: list[list[PlacedWord]] = [[]]
    for word in sentence[:LONGEST_SENTENCE]:
        if is_common(word.text) and pieces[-1]:
            pieces.append([])
        pieces[-1].append(word)
        if word.text.endswith((",", ";", ":", ".", ")")):
            pieces.append([])
    full = [tuple(piece) for piece in pieces if any(not is_common(w.text) for w in piece)]
    for number, piece in enumerate(full):
        core = _trimmed(piece)
        yield core
        if number + 1 < len(full):
            yield core + full[number + 1]


def _trimmed(piece: Run) -> Run:
    """Without the small words at its beginning."""
    first = next(n for n, word in enumerate(piece) if not is_common(word.text))
    return piece[first:]


def add_blocks(found: Found, index: PageIndex) -> None:
    """What stands first and last on the page, and what is printed largest: letterheads, titles,
    signatures.
    """
    placed = sorted(index.segments, key=lambda run: run[0].y0)
    large = sorted(index.segments, key=lambda run: -max(w.height for w in run))
    for run in dict.fromkeys([*placed[:ENDS], *placed[-ENDS:], *large[: ENDS // 2]]):
        option_of(found, run).evidence["block"] = 1.0


def add_marked(found: Found, index: PageIndex) -> None:
    """Labels with a mark beside them."""
    for run in index.segments:
        before, after = index.layout.before(run[0]), index.layout.after(run[-1])
        first = _MARKED.match(run[0].text)
        label = run[1:] if first and len(run) > 1 else run
        marked = bool(first) or any(
            mark is not None and _MARKED.match(mark.text) and mark.text not in (w.text for w in run)
            for mark in (before, after)
        )
        if marked:
            option_of(found, label).evidence["marked"] = 1.0


def add_grown(found: Found, index: PageIndex, own: Run) -> None:
    """The model's answer with the lines that follow it, and with the one before: where it is whole lines,
    it may go on.
    """
    lines = index.lines
    first, last = own[0].id[0], own[-1].id[0]
    if first not in lines or last not in lines or own[0] != lines[first][0] or own[-1] != lines[last][-1]:
        return
    run = own
    for number in range(last + 1, last + 1 + GROWN):
        if number not in lines or not _adjoins(run[-1], lines[number][0]):
            break
        run = run + lines[number]
        option_of(found, run).evidence["grown"] = 1.0
    if first - 1 in lines and _adjoins(lines[first - 1][0], own[0]):
        option_of(found, lines[first - 1] + own).evidence["grown"] = 1.0


def _adjoins(above: PlacedWord, below: PlacedWord) -> bool:
    return 0.3 * above.height < below.y0 - above.y0 < 2.2 * above.height


def add_cut(found: Found) -> None:
    """What stands first, last or largest without the registration number behind it."""
    for option in [one for one in found.values() if "block" in one.evidence and len(one.words) > 1]:
        match = _REGISTERED.search(option.text)
        if match is None:
            continue
        kept = len(option.text[: match.start()].split())
        option_of(found, option.words[:kept]).evidence |= {"block": 1.0, "cut": 1.0}
