"""HTML pages that carry their facts (see marks.py), filled with invented values.

Layout is the style sheet's: the same page comes with borders or without, in one column or two. Words are in
``pages.toml``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from random import Random

from layoutllm_tool.training.html import grids
from layoutllm_tool.training.html.data import PAGES
from layoutllm_tool.training.html.render import Paper
from layoutllm_tool.training.synthetic.templates import TemplateFiller
from layoutllm_tool.training.synthetic.values import ValueGenerator

_WORDS, _STYLE = PAGES["pages"], PAGES["style"]
_FIELDS = [(name, kind) for kind, names in PAGES["fields"].items() for name in names]
Fields = Iterable[tuple[str, str]]
"""Keys and values."""


class _Marks:
    """Names for the marks of one page."""

    def __init__(self, values: ValueGenerator) -> None:
        self.values, self.rng, self.count = values, values.rng, 0

    def name(self) -> str:
        self.count += 1
        return f"m{self.count}"

    def pick(self, words: str) -> str:
        return str(self.rng.choice(_WORDS[words]))

    def field(self, key: str, value: str) -> str:
        return f'<div class="field">{self.pair("span", key, "span", value)}</div>'

    def pair(self, key_tag: str, key: str, tag: str, value: str) -> str:
        """A key and its value, marked; an empty value in running text is a rule to write on."""
        name = self.name()
        classes = "value" if value or tag != "span" else "value blank"
        return (
            f'<{key_tag} class="key" data-key="{name}">{escape(key)}</{key_tag}> '
            f'<{tag} class="{classes}" data-value="{name}">{escape(value)}</{tag}>'
        )

    def alone(self, tag: str, text: str, asks: Iterable[str], about: str, kind: str) -> str:
        """A value without a printed key, and the question for it."""
        ask = self.rng.choice(tuple(asks))
        marks = f'data-value="{self.name()}" data-kind="{kind}" data-ask="{escape(ask)}"'
        return f'<{tag} {marks} data-about="{escape(about)}">{escape(text)}</{tag}>'

    def joined(self, parts: Iterable[str]) -> str:
        """The parts, perhaps with rules between."""
        return self.rng.choice(("", "", "<hr/>")).join(parts)


def page(rng: Random) -> tuple[str, Paper]:
    """A whole page and its paper; the same ``rng`` state gives the same page."""
    values = ValueGenerator(rng)
    body = rng.choice(KINDS)(_Marks(values))
    return f"<html><head><style>{_style(rng)}</style></head><body>{body}</body></html>", _paper(rng)


def _paper(rng: Random) -> Paper:
    """A4, Letter or A5, sometimes across."""
    a4, letter = (595.0, 842.0), (612.0, 792.0)
    width, height = rng.choice((a4, letter, a4, (842.0, 595.0), (480.0, 680.0)))
    return Paper(width, height, float(rng.randint(28, 60)))


def _style(rng: Random) -> str:
    """A style sheet for the classes that the templates use."""
    size, pale = rng.choice((9, 10, 10, 11, 12)), rng.choice(_STYLE["pale"])
    accent = rng.choice(_STYLE["accents"])
    width, line = rng.choice((1, 1, 1, 2)), rng.choice(("solid", "solid", "dotted", "dashed"))
    names = {
        **_STYLE["words"], "size": size, "accent": accent, "w": width, "s": line,
        "c": rng.choice(("#000", "#666", "#bbb", accent)), "p": pale, "h2": size * 1.2,
        "heads": [words.format(pale=pale) for words in _STYLE["words"]["heads"]],
    }  # fmt: skip
    filler = TemplateFiller(rng)
    body = filler.fill(_STYLE["body"], **names)
    titles = filler.fill(_STYLE["titles"], h1=size * rng.choice((1.5, 1.8, 2.1)), **names)
    return "\n".join((body, titles, *(filler.fill(rule, **names) for rule in _STYLE["rules"])))


def form(marks: _Marks) -> str:
    """Fields in blocks of different make, choices, perhaps two parties."""
    parts = [_title(marks), _fields(marks, marks.rng.randint(4, 12))]
    others = (_choices(marks), _parties(marks), _fields(marks, 4), _paragraph(marks))
    return marks.joined(parts + marks.rng.sample(others, marks.rng.randint(2, 4)))


def invoice(marks: _Marks) -> str:
    """Seller, numbers and dates, parties, items, sums that add up."""
    values = marks.values
    head = marks.alone("h1", values.company(), _WORDS["ask_company"], "company", "title")
    meta = [
        (marks.pick("numbers"), values.make("code")),
        (marks.pick("dates"), values.date()),
        (marks.pick("due_dates"), "" if marks.rng.random() < 0.15 else values.date()),
        (marks.pick("references"), values.make("code")),
    ]
    return marks.joined([head, _block(marks, meta), _parties(marks), _items(marks)])


def report(marks: _Marks) -> str:
    """A title, paragraphs with facts in the running text, a table, perhaps under nested heads."""
    rng, values = marks.rng, marks.values
    parts = [_title(marks), f"<p>{_sentence(marks)} {_sentence(marks)}</p>", _paragraph(marks)]
    parts.append(rng.choice(grids.GRIDS)(values))
    parts.append(_choices(marks) if rng.random() < 0.3 else "")
    parts.append(f'<p class="small">{escape(values.phrase(12, 45))}.</p>')
    return marks.joined([*parts, _fields(marks, rng.randint(2, 8))])


def overview(marks: _Marks) -> str:
    """Tables first: one plain, one nested or merged, and a few fields."""
    first, second = marks.rng.sample(grids.GRIDS, 2)
    parts = [_title(marks), first(marks.values), _fields(marks, marks.rng.randint(3, 8))]
    return marks.joined([*parts, second(marks.values)])


def two_columns(marks: _Marks) -> str:
    """Blocks beside each other."""
    rng = marks.rng
    left = _fields(marks, rng.randint(3, 6)) + rng.choice((_paragraph, _choices))(marks)
    right = rng.choice((_choices, _paragraph))(marks) + _fields(marks, rng.randint(3, 5))
    title = _title(marks)
    return f'{title}<div class="columns"><div>{left}</div><div>{right}</div></div>{grids.table(marks.values)}'


KINDS: tuple[Callable[[_Marks], str], ...] = (form, form, invoice, report, overview, two_columns)
"""What writes each kind of page; twice is twice as often."""


def _title(marks: _Marks) -> str:
    text = marks.pick("titles")
    text = text if marks.rng.random() < 0.4 else f"{marks.values.coined()} {text}"
    return marks.alone("h1", text, _WORDS["ask_title"], "title", "title")


def _fields(marks: _Marks, count: int) -> str:
    rng, values = marks.rng, marks.values
    chosen = rng.sample(_FIELDS, count)
    block = [(name, "" if rng.random() < 0.12 else values.make(kind)) for name, kind in chosen]
    heading = f"<h2>{escape(values.phrase(1, 3))}</h2>" if rng.random() < 0.4 else ""
    return heading + _block(marks, block)


def _block(marks: _Marks, fields: Fields) -> str:
    """Keys and values as lines, a grid, stacked, spread out, a table or a definition list."""
    sign = marks.rng.choice((":", ":", "", " :", "."))
    named = [(name + sign, value) for name, value in fields]
    match marks.pick("layouts"):
        case "table":
            rows = "".join(f"<tr>{marks.pair('td', name, 'td', value)}</tr>" for name, value in named)
            return f"<table><tbody>{rows}</tbody></table>"
        case "list":
            return f"<dl>{''.join(marks.pair('dt', name, 'dd', value) for name, value in named)}</dl>"
        case classes:
            return f'<div class="{classes}">{_lines(marks, named)}</div>'


def _lines(marks: _Marks, fields: Fields) -> str:
    return "".join(marks.field(key, value) for key, value in fields)


def _parties(marks: _Marks) -> str:
    """Two blocks with the same keys under different headings."""
    rng, blocks = marks.rng, []
    keys = rng.sample(_WORDS["party_keys"], rng.randint(2, 4))
    for heading in rng.choice(_WORDS["sections"]):
        fields = _lines(marks, [(f"{key}:", marks.values.make(kind)) for key, kind in keys])
        block = f'<h2>{heading}</h2><div class="line">{fields}</div>'
        blocks.append(f'<div data-section="{heading}">{block}</div>')
    return f'<div class="columns">{"".join(blocks)}</div>' if rng.random() < 0.75 else "".join(blocks)


def _choices(marks: _Marks) -> str:
    """Options with boxes beside them; mostly one is ticked."""
    rng, name = marks.rng, marks.name()
    key, names = rng.choice(list(PAGES["choices"].items()))
    ticked = set(rng.sample(names, 1 if rng.random() < 0.8 else rng.choice((0, 2))))
    on, off = rng.choice(_WORDS["boxes"])

    def option(label: str) -> str:
        yes = label in ticked
        sign = escape(on if yes else off) or f'<span class="tick{" ticked" if yes else ""}"></span>'
        data = f'data-choice="{name}" data-checked="{"yes" if yes else "no"}"'
        return f'<span class="option">{sign} <span {data}>{escape(label)}</span></span> '

    place = rng.choice(("list", "across"))
    options = "".join(map(option, names))
    return f'<div class="{place}"><div class="key" data-key="{name}">{escape(key)}</div>{options}</div>'


def _paragraph(marks: _Marks) -> str:
    """A heading with a short paragraph that answers it."""
    name, heading, text = marks.name(), marks.pick("paragraphs"), f"{marks.values.phrase(6, 12)}."
    paragraph = f'<p data-value="{name}" data-kind="paragraph">{escape(text)}</p>'
    return f'<h2 data-key="{name}">{heading}</h2>{paragraph}'


def _sentence(marks: _Marks) -> str:
    """A fact in running text."""
    values = marks.values
    made = [(*told, values.fill(value)) for *told, value in _WORDS["sentences"]]
    start, about, ask, value = marks.rng.choice(made)
    fact = marks.alone("span", value, (ask,), about, "paragraph")
    return f"{start} {fact} and {escape(values.phrase(3, 9).lower())}."


def _items(marks: _Marks) -> str:
    """A table of items and the sums below it."""
    values, rng = marks.values, marks.rng
    heads = (*(rng.choice(names) for names in _WORDS["items"]), "Amount")
    rows, total = [], 0.0
    for n in range(rng.randint(2, 6)):
        count, price = rng.choice((1, 2, 3, 5, 10)), values.price()
        total += count * price
        amounts = (values.amount(price, bare=True), values.amount(count * price, bare=True))
        rows.append((f"{values.item()} {n + 1}", str(count), *amounts))
    tax = round(total * rng.choice((0.06, 0.07, 0.19, 0.2)), 2)
    sums = [(marks.pick("subtotals"), total), (values.country.tax, tax), (marks.pick("totals"), total + tax)]
    block = _lines(marks, [(key, values.amount(amount)) for key, amount in sums])
    return grids.written(heads, rows) + f'<div class="right {rng.choice(("spread", "line"))}">{block}</div>'
