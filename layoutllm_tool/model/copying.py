"""The answer as a copy: which tokens may come next so that the text stays a substring of the area. Pure, no
torch.

Works on UTF-8 bytes, so that an answer may begin and end inside a word ("25/12/2018" of "DATE:25/12/2018")
whatever the tokenizer made of that word. A copied answer is grounded by construction: it says where it was
copied from.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from transformers import PreTrainedTokenizerBase

LONGEST_TOKEN = 24
"""Bytes; longer tokens of the vocabulary are runs of blanks and the like."""


@dataclass(frozen=True, slots=True)
class TokenBytes:
    """The vocabulary by bytes: how every token is spelt."""

    by_bytes: Mapping[bytes, int]
    by_id: Sequence[bytes]

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> TokenBytes:
        """From a byte-level BPE or a SentencePiece vocabulary; special tokens spell nothing."""
        special = set(tokenizer.all_special_ids)
        tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
        byte_of = _byte_level()
        byte_level = any("Ġ" in token for token in tokens)
        spelt = [
            b"" if i in special else _spell_byte_level(t, byte_of) if byte_level else _spell_pieces(t)
            for i, t in enumerate(tokens)
        ]
        return cls({text: i for i, text in enumerate(spelt) if text and len(text) <= LONGEST_TOKEN}, spelt)


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy in progress: ``text`` so far, and every byte offset of ``source`` where it may go on."""

    source: bytes
    text: bytes = b""
    offsets: tuple[int, ...] = ()
    starts: tuple[int, ...] | None = None
    """Where the copy may begin; None for anywhere."""
    stops: frozenset[int] | None = None
    """Where it may end; None for anywhere."""
    wrong: frozenset[str] = frozenset()
    """Answers that may not come (lower case): neither as they are nor as the beginning of a longer one."""

    @classmethod
    def of(
        cls, source: str, spans: Sequence[tuple[int, int]] | None = None, wrong: Collection[str] = ()
    ) -> Copy:
        """From an area's text. ``spans`` (character offsets) restrict the answer to one of them."""
        starts = stops = None
        bad = frozenset(w.strip().lower() for w in wrong)
        if spans is not None:
            spans = [(a, b) for a, b in spans if source[a:b].lower() not in bad]
            at = [0]
            for character in source:
                at.append(at[-1] + len(character.encode()))
            starts = tuple(at[a] for a, _ in spans)
            stops = frozenset(at[b] for _, b in spans)
        return cls(source.encode(), starts=starts, stops=stops, wrong=bad)

    def elsewhere(self, source: str) -> Copy:
        """The same text so far as a copy from another source: wherever it stands there."""
        data, begun = source.encode(), self.text.lstrip()
        if not begun:
            return replace(self, source=data, offsets=tuple(range(len(data))) if self.text else ())
        found, at = [], data.find(begun)
        while at >= 0:
            found.append(at + len(begun))
            at = data.find(begun, at + 1)
        return replace(self, source=data, offsets=tuple(found))

    @property
    def empty(self) -> bool:
        return not self.text.strip()

    def allowed(self, token_bytes: TokenBytes) -> dict[int, tuple[int, ...]]:
        """Token -> the offsets after it. The first token may carry the blank that stands before every
        word.
        """
        found: dict[int, list[int]] = {}

        def offer(prefix: bytes, at: int) -> None:
            for length in range(1, min(LONGEST_TOKEN, self._limit(at) - at) + 1):
                token = token_bytes.by_bytes.get(prefix + self.source[at : at + length])
                if token is not None:
                    found.setdefault(token, []).append(at + length)

        if self.text:
            for at in self.offsets:
                offer(b"", at)
        else:
            starts = range(len(self.source)) if self.starts is None else self.starts
            first = [
                at for at in starts if self.source[at : at + 1] not in (b" ", b"") and not self._wrong_at(at)
            ]
            for at in first:
                offer(b" ", at)
                offer(b"", at)
            if (blank := token_bytes.by_bytes.get(b" ")) is not None and first:
                found.setdefault(blank, []).extend(first)
        return {token: tuple(sorted(set(offsets))) for token, offsets in found.items()}

    def _limit(self, at: int) -> int:
        """How far a copy that stands here may go: to the end of its span, or of the source."""
        if self.stops is None:
            return len(self.source)
        return min((stop for stop in self.stops if stop >= at), default=at)

    def _wrong_at(self, at: int) -> bool:
        """Whether an answer known to be wrong begins here, as a whole word or at a word's end."""
        for bad in self.wrong:
            end = at + len(bad.encode())
            if self.source[at:end].decode(errors="ignore").lower() == bad and self.source[end : end + 1] in (
                b" ",
                b"",
            ):
                return True
        return False

    def may_end(self) -> bool:
        """Whether the text so far is a whole answer: not empty, not known to be wrong, at a place where it
        may stop.
        """
        if self.empty or self.string.lower() in self.wrong:
            return False
        try:
            self.text.decode()
        except UnicodeDecodeError:
            return False
        return self.stops is None or bool(self.stops.intersection(self.offsets))

    def after(self, token: int, token_bytes: TokenBytes, allowed: Mapping[int, tuple[int, ...]]) -> Copy:
        return replace(self, text=self.text + token_bytes.by_id[token], offsets=allowed[token])

    @property
    def string(self) -> str:
        return self.text.decode(errors="ignore").strip()

    def span(self) -> tuple[int, int]:
        """Character offsets of the copy in the source: the first place where it stands."""
        ends = (
            self.offsets
            if self.stops is None
            else [o for o in self.offsets if o in self.stops] or self.offsets
        )
        end = ends[0] - (len(self.text) - len(self.text.rstrip()))
        start = end - len(self.text.strip())
        return len(self.source[:start].decode(errors="ignore")), len(
            self.source[:end].decode(errors="ignore")
        )


def _byte_level() -> dict[str, int]:
    """GPT-2's printable stand-ins: bytes that print stand for themselves, the others for 256 and up."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {chr(b): b for b in printable}
    others = (b for b in range(256) if b not in set(printable))
    return table | {chr(256 + i): b for i, b in enumerate(others)}


def _spell_byte_level(token: str, byte_of: Mapping[str, int]) -> bytes:
    return bytes(byte_of[c] for c in token) if all(c in byte_of for c in token) else b""


def _spell_pieces(token: str) -> bytes:
    if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        return bytes([int(token[3:5], 16)])
    return token.replace("▁", " ").encode()
