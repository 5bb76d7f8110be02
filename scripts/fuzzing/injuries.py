"""Damage to a file's bytes, the same for the same random state."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

INTEGERS = (
    0, 1, 2, 3, 7, 8, 16, 127, 128, 255, 256, 1000, 16383, 32767, 65535, 100_000, 2**24, 2**31 - 1, 2**31,
    2**32 - 1,
)  # fmt: skip
_SHARED = Path(__file__).resolve().parents[3] / "shared"


@cache
def samples(suffixes: tuple[str, ...], most: int = 300_000) -> list[bytes]:
    """Small real files of these types, where the checkout has some beside it; in a fixed order."""
    found = sorted(
        p for name in ("data/odd", "cases") for p in (_SHARED / name).rglob("*") if p.suffix in suffixes
    )
    return [path.read_bytes() for path in found if path.stat().st_size <= most]


def damaged(data: bytes, r: random.Random, *, header: int = 64) -> bytes:
    """One to four injuries, half of them in the first ``header`` bytes, where formats keep their sizes."""
    found = bytearray(data)
    for _ in range(r.choice((1, 1, 2, 4))):
        end = min(header, len(found)) if r.random() < 0.5 else len(found)
        at = r.randrange(end) if end else 0
        r.choice(_INJURIES)(found, at, r)
    return bytes(found)


def _flip(data: bytearray, at: int, r: random.Random) -> None:
    if data:
        data[at] ^= 1 << r.randrange(8)


def _poke(data: bytearray, at: int, r: random.Random) -> None:
    width = r.choice((1, 2, 4))
    value = r.choice(INTEGERS) % 256**width
    data[at : at + width] = value.to_bytes(width, r.choice(("big", "little")))


def _cut(data: bytearray, at: int, r: random.Random) -> None:
    del data[max(at, len(data) // 2) :]


def _drop(data: bytearray, at: int, r: random.Random) -> None:
    del data[at : at + r.randrange(1, 40)]


def _repeat(data: bytearray, at: int, r: random.Random) -> None:
    data[at:at] = data[at : at + r.randrange(1, 200)] * r.choice((1, 2, 50))


_INJURIES = (_flip, _flip, _poke, _poke, _poke, _cut, _drop, _repeat)
