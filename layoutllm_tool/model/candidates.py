"""What may answer a question on a page: the values of printed keys, cells, spans of the expected type, the model's own, "none".

Printed keys come from four sources: the text the question quotes, the key the language model writes, the question's own words,
and the segments nearest in meaning (sentence encoder). Which option is right is *not* decided here: see ``fusion_head``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from layoutllm_tool.documents.key_values import GAPS, PageLayout, PlacedWord, Run, WordId
from layoutllm_tool.documents.search import is_common, key_of, letters, plain
from layoutllm_tool.model.expected_type import TYPES, expected_type, shapes
from layoutllm_tool.model.page_index import Array, PageIndex, parts, text_of
from layoutllm_tool.model.pair_head import PairHead, Scored

if TYPE_CHECKING:
    from layoutllm_tool.model.grammar import Decoded

SOURCES = ("quoted", "analysis", "words")
NEAREST = 8
"""Printed keys taken from the sentence encoder."""
KEPT = 5
"""Candidates of one key that are weighed further."""
HEADERS, LABELS = 6, 3
"""Segments nearest in meaning that may head a column, and label a row."""
TYPED_SENTENCES, SENTENCES, LONGEST_SENTENCE = 12, 3, 60
"""Sentences nearest in meaning of which spans of the expected type are taken, all that look like values; words of one."""
CONTEXT = 8
"""Words before a span that stand for it."""
MOST = 36
"""Options of a question that are weighed."""
NAMED_ROWS, LEAST_SAID = 3, 0.3
"""Rows that say most of the question; least share of it."""
GROWN = 3
"""Lines by which the model's answer may go on."""
CURRENCY_GAP = 1.5
"""Widest gap between a currency and its amount, in heights."""
ENDS = 6
"""Segments at the top and at the bottom of the page that may answer without a key."""
_MARKED = re.compile(r"^\W{0,2}[xX✓✔☑☒✗✘■●√]\W{0,2}$")
_PLACE = re.compile(
    r"\b(?:at|in|on|to)\s+the\s+((?:(?:top|bottom|left|right)\b[\s-]*)+)|\b(first|second|third|last)\b(?!\s+name)",
    re.IGNORECASE,
)
_REGISTERED = re.compile(r"\s*\([^()]*\d{4}[^()]*\)?$")
_CURRENCY = re.compile(r"(?:RM|MYR|USD|EUR|GBP|CHF|SGD|HKD|AUD|CAD|INR|Rs|Rp|Fr|kr|[$€£¥₹])\.?:?", re.IGNORECASE)
_QUOTED = re.compile(r"""["“”«»„]([^"“”«»„]{1,200})["“”«»„]""")


@dataclass
class Option:
    """One possible answer: words, or none. ``evidence`` says what speaks for it."""

    words: Run
    key: Run = ()
    side: str = ""
    evidence: dict[str, float] = field(default_factory=dict)
    pair: Array | None = None
    """The pair head's features of key and words."""
    cell: str = ""
    """The labels of the row and the column that meet there."""
    before: str = ""
    """Words of its sentence before it."""

    @property
    def none(self) -> bool:
        return not self.words

    @property
    def ids(self) -> frozenset[WordId]:
        return frozenset(word.id for word in self.words)

    @property
    def text(self) -> str:
        return text_of(self.words)

    @property
    def told(self) -> str:
        """With what stands for it on the page: its key, its row and column, or the words before it."""
        about = text_of(self.key) if "meaning_p" in self.evidence or "quoted_p" in self.evidence else ""
        return f"{about or self.cell or text_of(self.key) or self.before} {self.text}".strip()


@dataclass(frozen=True)
class Outcome:
    """What the language model came to on a page by itself: the part of ``Decoded`` that is weighed."""

    key: str
    words: tuple[WordId, ...]
    answer: str | None
    lines: tuple[int, ...]
    line_logprobs: dict[int, float]
    none_logprob: float
    answer_logprob: float

    @classmethod
    def of(cls, decoded: Decoded, lines: Sequence[int]) -> Outcome:
        """``lines`` are the window's: segment -> line of the page."""
        scores: dict[int, float] = {}
        for line, value in zip(lines, decoded.segment_logprobs, strict=False):
            scores[line] = max(value, scores.get(line, -30.0))
        return cls(
            decoded.analysis.key, decoded.words, decoded.answer, tuple(lines[s] for s in decoded.segments), scores,
            decoded.none_logprob, sum(decoded.logprobs.get("answer", ())),
        )  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """A question with what is known of it before its options: its vector (384), likeness to segments (S) and sentences."""

    text: str
    quoted: str
    words: frozenset[str]
    """Of content, plain."""
    query: Array | None
    likeness: Array | None
    sentence_likeness: Array | None

    @property
    def numbers(self) -> frozenset[str]:
        return frozenset(word for word in self.words if any(map(str.isdigit, word)))

    @classmethod
    def of(cls, question: str, index: PageIndex, query: Array | None) -> Asked:
        content = frozenset(plain(word) for word in key_of(_unquoted(question)).split()) - {""}
        known = query is not None and index.vectors is not None and index.sentence_vectors is not None
        likeness = index.vectors @ query if known else None  # type: ignore[operator]
        sentences = index.sentence_vectors @ query if known else None  # type: ignore[operator]
        return cls(question, " ".join(_QUOTED.findall(question)), content, query, likeness, sentences)


def _unquoted(question: str) -> str:
    return _QUOTED.sub(r"\1", question)


def candidates_of(index: PageIndex, asked: Asked, outcome: Outcome | None, head: PairHead) -> list[Option]:
    """Possible answers without repetition; "none" is the first."""
    found: dict[frozenset[WordId], Option] = {}
    key = outcome.key if outcome else ""
    for source, text in zip(SOURCES, (asked.quoted, key, key_of(_unquoted(asked.text))), strict=True):
        if letters(text):
            matches, scored = index.look_up(text, head)
            _add(found, source, scored, max((match.score for match in matches), default=0.0), len(matches))
    _add_nearest(found, index, asked, head)
    _add_cells(found, index, asked)
    _add_rows(found, index, asked)
    _add_spans(found, index, asked)
    _add_blocks(found, index)
    _add_marked(found, index)
    if outcome is not None and (own := own_words(index, outcome)):
        _of(found, own).evidence["model_same"] = 1.0
        _add_grown(found, index, own)
    _add_cut(found)
    found = _at_place(_with_currencies(found, index.layout), asked.text)
    kept = _ticked(found, index)
    if kept is None:
        return [Option((), evidence={"none": 1.0})]
    found = kept
    likely = sorted(found.values(), key=lambda option: -_promise(option.evidence))[:MOST]
    return [Option((), evidence={"none": 1.0}), *likely]


def _promise(evidence: dict[str, float]) -> float:
    """What an option's sources say, roughly: which are worth weighing."""
    known = max(evidence.get(f"{source}_p", 0.0) * evidence.get(f"{source}_match", 0.0) for source in SOURCES)
    meant = evidence.get("meaning_p", 0.0) * evidence.get("meaning", 0.0)
    cell, said = (
        0.3 * evidence.get("cell_worth", 0.0),
        0.6 * evidence.get("near", 0.0) + 0.3 * evidence.get("fits", 0.0),
    )
    ends = 0.25 * max(evidence.get("block", 0.0), evidence.get("marked", 0.0), 2.0 * evidence.get("grown", 0.0))
    cell += 0.4 * evidence.get("row", 0.0)
    return known + meant + cell + said + ends + 9.0 * evidence.get("model_same", 0.0)


def own_words(index: PageIndex, outcome: Outcome) -> Run:
    """What the language model answered, on the page; () where it did not."""
    return tuple(index.layout.by_id[i] for i in outcome.words if i in index.layout.by_id) if outcome.answer else ()


def _of(found: dict[frozenset[WordId], Option], words: Run, key: Run = (), side: str = "") -> Option:
    return found.setdefault(frozenset(word.id for word in words), Option(words, key, side))


def _add(found: dict[frozenset[WordId], Option], source: str, scored: Scored, match: float, places: int) -> None:
    for rank, at in enumerate(np.argsort(-scored.logprobs)[:KEPT]):
        candidate, logp = scored.found[at], float(scored.logprobs[at])
        option = _of(found, candidate.words, candidate.key, candidate.side)
        if logp <= option.evidence.get(f"{source}_logp", -99.0):
            continue
        option.evidence |= {
            f"{source}_logp": logp, f"{source}_p": float(np.exp(logp)), f"{source}_match": match,
            f"{source}_top": float(rank == 0), f"{source}_places": float(np.log1p(places)),
        }  # fmt: skip
        if option.pair is None:
            option.pair = scored.features[at]


def _add_nearest(found: dict[frozenset[WordId], Option], index: PageIndex, asked: Asked, head: PairHead) -> None:
    """Candidates of the keys nearest in meaning."""
    if asked.likeness is None:
        return
    order = np.argsort(-asked.likeness)[:NEAREST]
    for rank, at in enumerate(order):
        scored, near = index.beside(int(at), head), float(asked.likeness[at])
        for place in np.argsort(-scored.logprobs)[:KEPT]:
            candidate, p = scored.found[place], float(np.exp(scored.logprobs[place]))
            option = _of(found, candidate.words, candidate.key, candidate.side)
            if p * near <= option.evidence.get("meaning_p", 0.0) * option.evidence.get("meaning", 0.0):
                continue
            option.evidence |= {
                "meaning_p": p, "meaning": near, "meaning_rank": 1 / (1 + rank),
                "meaning_gap": float(asked.likeness[order[0]]) - near,
                "meaning_lead": near - float(asked.likeness[order[1]]) if rank == 0 and len(order) > 1 else 0.0,
            }  # fmt: skip
            if not option.key or "quoted_p" not in option.evidence:
                option.key, option.side = candidate.key, candidate.side
            if option.pair is None:
                option.pair = scored.features[place]


def _add_cells(found: dict[frozenset[WordId], Option], index: PageIndex, asked: Asked) -> None:
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
            option = _of(found, cell, index.segments[row], "right")
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
    row = [w for w in layout.between(label[0].y0 - 0.1 * height, label[0].y1 + 0.1 * height) if w.id not in own]
    row.sort(key=lambda w: w.x0)
    run: list[PlacedWord] = []
    for word in row:
        if run and word.x0 - run[-1].x1 > GAPS[0] * height:
            if run[-1].x1 > x0 - height and run[0].x0 < x1 + height:
                return tuple(run)
            run = []
        run.append(word)
    return tuple(run) if run and run[-1].x1 > x0 - height and run[0].x0 < x1 + height else ()


def _add_rows(found: dict[frozenset[WordId], Option], index: PageIndex, asked: Asked) -> None:
    """What else stands on the rows that say most of the question."""
    said = index.said_in_rows(asked.words)
    for number in np.argsort(-said)[:NAMED_ROWS]:
        if said[number] < LEAST_SAID:
            break
        runs = list(parts(index.rows[number]))
        label = max(runs, key=lambda run: share_said(run, asked.words))
        for run in runs:
            if run is not label:
                option = _of(found, run, label, "right")
                option.cell = option.cell or text_of(label)
                option.evidence["row"] = float(said[number])


def _at_place(found: dict[frozenset[WordId], Option], question: str) -> dict[frozenset[WordId], Option]:
    """Of a key that is printed several times the one at the place that the question says: "at the bottom", "the second"."""
    words = " ".join(map("".join, _PLACE.findall(_QUOTED.sub(" ", question)))).casefold().split()
    keys: dict[str, set[Run]] = {}
    for option in found.values():
        if option.key:
            keys.setdefault(letters(text_of(option.key)), set()).add(option.key)
    others: set[Run] = set()
    for runs in keys.values():
        kept = sorted(runs, key=lambda run: (run[0].y0, run[0].x0))
        for word in words:
            kept = _placed(kept, word)
        others |= runs - set(kept)
    return {ids: option for ids, option in found.items() if option.key not in others}


def _placed(runs: list[Run], word: str) -> list[Run]:
    """Those of one text, from top to bottom, that a spatial word leaves; all where it says nothing of them."""
    if len(runs) < 2:
        return runs
    match word:
        case "top" | "first":
            return runs[:1]
        case "bottom" | "last":
            return runs[-1:]
        case "second" | "third":
            return runs[1:2] if word == "second" else runs[2:3] or runs
        case "left" | "right":
            return [(min if word == "left" else max)(runs, key=lambda run: run[0].x0)]
        case _:
            return runs


def _ticked(found: dict[frozenset[WordId], Option], index: PageIndex) -> dict[frozenset[WordId], Option] | None:
    """Where an answer would be a list of choices, or one of them, the ticked one is it. None where the likeliest is a list of which none is
    ticked."""
    group_of = {word.id: group for group in index.choices for choice in group for word in choice.label}
    if not group_of:
        return found
    likeliest = max(found.values(), key=lambda option: _promise(option.evidence), default=None)
    kept: dict[frozenset[WordId], Option] = {}
    for ids, option in found.items():
        group = next((group_of[word.id] for word in option.words if word.id in group_of), None)
        if group is None or any(
            w.id not in group_of and any(map(str.isalnum, w.text)) and len(w.text) > 1 for w in option.words
        ):
            kept[ids] = option
            continue
        label = next((choice.label for choice in group if choice.ticked), None)
        if label is None:
            if option is likeliest:
                return None
            continue
        same = kept.setdefault(frozenset(word.id for word in label), option)
        if same is option:
            option.words = label
            option.evidence["marked"] = 1.0
        else:
            _merge(same, option)
    return kept


def _merge(one: Option, other: Option) -> None:
    """The evidence of both."""
    for name, value in other.evidence.items():
        one.evidence[name] = max(value, one.evidence.get(name, value))
    one.pair = other.pair if one.pair is None else one.pair
    one.key, one.side = one.key or other.key, one.side or other.side


def _add_spans(found: dict[frozenset[WordId], Option], index: PageIndex, asked: Asked) -> None:
    """Spans of the type that the question expects; of the sentences nearest in meaning, all that look like a value."""
    near = asked.sentence_likeness
    order = list(range(len(index.sentences))) if near is None else [int(at) for at in np.argsort(-near)]
    kind = expected_type(asked.text)
    for rank, at in enumerate(order[:TYPED_SENTENCES]):
        sentence, close = index.sentences[at], near is not None and rank < SENTENCES
        kinds = TYPES if close else (kind,) if kind else ()
        spans = [(run, "span") for one in kinds for run in typed_spans(one, sentence)]
        for run, source in spans + [(run, "chunk") for run in (chunks(sentence) if close else ())]:
            option = _of(found, run)
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
    """A sentence cut before small words and behind commas: each piece, and each two that follow one another."""
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


def _add_blocks(found: dict[frozenset[WordId], Option], index: PageIndex) -> None:
    """What stands first and last on the page, and what is printed largest: letterheads, titles, signatures."""
    placed = sorted(index.segments, key=lambda run: run[0].y0)
    large = sorted(index.segments, key=lambda run: -max(w.height for w in run))
    for run in dict.fromkeys([*placed[:ENDS], *placed[-ENDS:], *large[: ENDS // 2]]):
        _of(found, run).evidence["block"] = 1.0


def _add_marked(found: dict[frozenset[WordId], Option], index: PageIndex) -> None:
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
            _of(found, label).evidence["marked"] = 1.0


def _add_grown(found: dict[frozenset[WordId], Option], index: PageIndex, own: Run) -> None:
    """The model's answer with the lines that follow it, and with the one before: where it is whole lines, it may go on."""
    lines = index.lines
    first, last = own[0].id[0], own[-1].id[0]
    if first not in lines or last not in lines or own[0] != lines[first][0] or own[-1] != lines[last][-1]:
        return
    run = own
    for number in range(last + 1, last + 1 + GROWN):
        if number not in lines or not _adjoins(run[-1], lines[number][0]):
            break
        run = run + lines[number]
        _of(found, run).evidence["grown"] = 1.0
    if first - 1 in lines and _adjoins(lines[first - 1][0], own[0]):
        _of(found, lines[first - 1] + own).evidence["grown"] = 1.0


def _adjoins(above: PlacedWord, below: PlacedWord) -> bool:
    return 0.3 * above.height < below.y0 - above.y0 < 2.2 * above.height


def _add_cut(found: dict[frozenset[WordId], Option]) -> None:
    """What stands first, last or largest without the registration number behind it."""
    for option in [one for one in found.values() if "block" in one.evidence and len(one.words) > 1]:
        match = _REGISTERED.search(option.text)
        if match is None:
            continue
        kept = len(option.text[: match.start()].split())
        _of(found, option.words[:kept]).evidence |= {"block": 1.0, "cut": 1.0}


def with_currency(layout: PageLayout, words: Run) -> Run:
    """An amount with the currency that is printed before it."""
    if not words:
        return ()
    before = layout.by_id.get((words[0].id[0], words[0].id[1] - 1))
    if before is None or not words[0].text[:1].isdigit() or not _CURRENCY.fullmatch(before.text):
        return words
    return (before, *words) if words[0].x0 - before.x1 < CURRENCY_GAP * before.height else words


def _with_currencies(found: dict[frozenset[WordId], Option], layout: PageLayout) -> dict[frozenset[WordId], Option]:
    """Every amount with its currency; of options that become the same, the evidence of all counts."""
    made: dict[frozenset[WordId], Option] = {}
    for option in found.values():
        option.words = with_currency(layout, option.words)
        same = made.setdefault(option.ids, option)
        if same is not option:
            _merge(same, option)
    return made
