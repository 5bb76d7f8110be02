"""What ``speed`` measures, and the aims it is held to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

FURTHER_SHARE, DECODE_RATIO, RETRY_SAVES = 1 / 3, 2.5, 3
"""The aims: a further question under a third of the first; decoding so many times as fast as generate;
a corrected step 2 so many times cheaper than asking anew."""


@dataclass(frozen=True, slots=True)
class Ours:
    """Seconds and rates of the engine. A page of several windows is read and asked window by window."""

    load: float
    """Model and engine, once a process."""
    recognition: float | None
    """Text recognition of the page; None where its words were given."""
    read: float
    """Encoder and prefill of the page."""
    first: float
    """Reading the page and answering the first question, words known."""
    further: float
    """Each of the other questions on the page once it is read."""
    retry: float
    """Step 3 alone, after a correction of step 2: the page and the steps before the correction are kept."""
    fed: int
    """Tokens that go through the model for a first question: the page's, the question's, the chain's."""
    retry_fed: int
    """Likewise for a retry."""
    decoded: int
    """Of ``fed``, those that the model chose."""
    retry_decoded: int
    answer_tokens: int
    """Of the further questions' chains, all together."""
    chain_rate: float
    """Tokens a second while a chain is decoded, question and forced tokens included."""
    step_rate: float
    """Tokens a second of bare decoding, one row: an engine step and its logits a token."""
    step_rate_8: float
    """The same with eight rows at once, all rows' tokens counted."""
    page_tokens: int
    windows: int
    memory: int
    """Bytes."""
    numerics: str
    """Of the language model's products: a ``Numerics``."""


@dataclass(frozen=True, slots=True)
class Generate:
    """The same of ``transformers.generate``."""

    load: float
    prefill: float
    """Up to the first token."""
    first: float
    """The whole call: it keeps no page, so every question costs this."""
    rate: float
    """Tokens a second after the first."""
    prompt_tokens: int
    memory: int
    dtype: str
    """The faster of ``DTYPES`` on this CPU."""


@dataclass(frozen=True, slots=True)
class Report:
    """Both sides and what follows from them."""

    ours: Ours
    generate: Generate
    new_tokens: int
    repeats: int
    threads: int
    cpu: str
    """Its name and abilities."""

    @property
    def further_share(self) -> float:
        return self.ours.further / self.ours.first

    @property
    def decode_ratio(self) -> float:
        return self.ours.step_rate / self.generate.rate

    @property
    def retry_saves(self) -> float:
        """How many times cheaper a retry of step 3 is than asking anew: in seconds or tokens, the lesser."""
        return min(self.ours.first / self.ours.retry, self.ours.fed / max(self.ours.retry_fed, 1))

    @property
    def first_with_recognition(self) -> float | None:
        return None if self.ours.recognition is None else self.ours.recognition + self.ours.first

    def to_json(self) -> dict[str, Any]:
        names = ("further_share", "decode_ratio", "retry_saves", "first_with_recognition")
        return asdict(self) | {name: getattr(self, name) for name in names}
