"""Examples as files to carry elsewhere: pages with their pictures, questions and what is hidden, without the sources.

A folder holds ``shard-00000.zip`` and so on, and ``shards.json`` that says how many pages there are and each shard's
SHA-256. The same examples give the same bytes (with the same zlib and libwebp). Pictures are made small and grey: the
encoder sees 224 x 224. What text recognition could read again is *not* kept, nor is a colour or a page's notices.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layoutllm_tool.cot import AnswerFormation, QuestionAnalysis
from layoutllm_tool.documents.geometry import Box, Line, Page, Word
from layoutllm_tool.errors import DocumentNotFound, DocumentTooLarge, DocumentUnreadable, TrainingError
from layoutllm_tool.training.grounding import example_problem
from layoutllm_tool.training.schema import QA, Example, Instruction

if TYPE_CHECKING:
    from PIL.Image import Image

FORMAT = "layoutllm-shards/1"
MANIFEST = "shards.json"
LONGEST = 448
"""Pixels of a picture's longer side, at most."""
QUALITY = 70
"""Of the WebP: seen at 224 x 224, a grey level differs by 1.7 of 255 on average, as with a JPEG half as large again."""
MOST_BYTES = 16_000_000
"""Of one page's facts or picture, unpacked."""
_AGAIN = "Copy the folder again, or write it anew."


@dataclass(frozen=True, slots=True)
class Contents:
    """What a folder holds: pages, pages in every shard but the last, each shard's SHA-256."""

    count: int
    per_shard: int
    sha256: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the shards' own: the content's name."""
        return hashlib.sha256("\n".join(self.sha256).encode()).hexdigest()


def write_shards(
    examples: Iterable[Example], folder: Path, per_shard: int = 256, *, longest: int = LONGEST
) -> Contents:
    """All examples into ``folder``, one at a time in memory. The pages' width and height become those of the small picture.

    TrainingError where the folder holds shards already, where there is no example, or where one breaks the schema's promises.
    """
    if (folder / MANIFEST).exists():
        raise TrainingError(f"{folder} holds shards already.", hint="Give a new folder, or delete this one.")
    if per_shard < 1 or longest < 1:
        raise TrainingError("a shard holds at least one page, a picture has at least one pixel.", hint="Give more.")
    folder.mkdir(parents=True, exist_ok=True)
    rest, count = iter(examples), 0
    hashes: list[str] = []
    while (first := next(rest, None)) is not None:
        path = _path(folder, len(hashes))
        count += _write(path, _chain(first, islice(rest, per_shard - 1)), longest)
        hashes.append(_sha256(path))
    if not hashes:
        raise TrainingError("there is no example to pack.", hint="Look at the source: it yields nothing.")
    contents = Contents(count, per_shard, tuple(hashes))
    facts = {"format": FORMAT, "count": count, "per_shard": per_shard, "sha256": hashes}
    _replace(folder / MANIFEST, (json.dumps(facts, indent=1) + "\n").encode())
    return contents


class Shards:
    """The examples in a folder of shards, any of them at any time; one page in memory.

    A shard is checked against its SHA-256 when it is first used. DocumentNotFound, DocumentUnreadable, DocumentTooLarge
    where the folder or a shard is missing, damaged, or made by something else. Can be pickled, as worker processes need.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.contents = _contents(folder)
        self._checked: set[int] = set()

    def __len__(self) -> int:
        return self.contents.count

    def __iter__(self) -> Iterator[Example]:
        return (self(index) for index in range(len(self)))

    def __call__(self, index: int) -> Example:
        """The index-th example; indices past the end begin again, as pages of an epoch do."""
        shard, member = divmod(index % len(self), self.contents.per_shard)
        path = self._shard(shard)
        try:
            with zipfile.ZipFile(path) as archive:
                facts = json.loads(_member(archive, f"{member:05d}.json"))
                picture = f"{member:05d}.webp"
                image = _picture(_member(archive, picture)) if picture in archive.namelist() else None
                example = _from_json(facts, image)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise DocumentUnreadable(f"{path.name} is damaged: {error}.", hint=_AGAIN) from error
        except (KeyError, TypeError, ValueError, IndexError, RecursionError, NotImplementedError) as error:
            raise DocumentUnreadable(f"page {member} of {path.name} is none: {error!r}.", hint=_AGAIN) from error
        if wrong := example_problem(example):
            raise DocumentUnreadable(f"page {member} of {path.name} contradicts itself: {wrong}.", hint=_AGAIN)
        return example

    @property
    def digest(self) -> str:
        """SHA-256 of what all shards hold."""
        return self.contents.digest

    def _shard(self, number: int) -> Path:
        path = _path(self.folder, number)
        if number not in self._checked:
            if not path.is_file():
                raise DocumentNotFound(f"{path} is missing.", hint=_AGAIN)
            if _sha256(path) != self.contents.sha256[number]:
                raise DocumentUnreadable(f"{path.name} is not the file that was written.", hint=_AGAIN)
            self._checked.add(number)
        return path


def _contents(folder: Path) -> Contents:
    path = folder / MANIFEST
    if not path.is_file():
        raise DocumentNotFound(f"{folder} holds no {MANIFEST}.", hint="Give a folder that write_shards has filled.")
    if path.stat().st_size > MOST_BYTES:
        raise DocumentTooLarge(f"{path} is over {MOST_BYTES} bytes.", hint=_AGAIN)
    try:
        facts = json.loads(path.read_bytes())
        known = facts["format"] == FORMAT
        contents = Contents(_whole(facts["count"]), _whole(facts["per_shard"]), tuple(map(_text, facts["sha256"])))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DocumentUnreadable(f"{path} does not describe shards: {error!r}.", hint=_AGAIN) from error
    if not known or min(contents.count, contents.per_shard) < 1:
        raise DocumentUnreadable(f"{path} is not of the form {FORMAT}.", hint=_AGAIN)
    if len(contents.sha256) != -(-contents.count // contents.per_shard):
        raise DocumentUnreadable(f"{path} names {len(contents.sha256)} shards for {contents.count} pages.", hint=_AGAIN)
    return contents


def _path(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:05d}.zip"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _replace(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(data)
    os.replace(part, path)


def _chain(first: Example, others: Iterable[Example]) -> Iterator[Example]:
    yield first
    yield from others


def _write(path: Path, examples: Iterable[Example], longest: int) -> int:
    part, count = path.with_name(f"{path.name}.part"), 0
    with zipfile.ZipFile(part, "w") as archive:
        for example in examples:
            if wrong := example_problem(example):
                raise TrainingError(f"{example.source} can't be packed: {wrong}.", hint="Mend or leave out its source.")
            _add(archive, count, _small(example, longest))
            count += 1
    os.replace(part, path)
    return count


def _add(archive: zipfile.ZipFile, number: int, example: Example) -> None:
    facts = json.dumps(_to_json(example), separators=(",", ":"), allow_nan=False).encode()
    _put(archive, f"{number:05d}.json", facts, zipfile.ZIP_DEFLATED)
    if example.page.image is not None:
        out = BytesIO()
        example.page.image.save(out, "WEBP", quality=QUALITY, method=6)
        _put(archive, f"{number:05d}.webp", out.getvalue(), zipfile.ZIP_STORED)


def _put(archive: zipfile.ZipFile, name: str, data: bytes, how: int) -> None:
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))  # no clock: the same content is the same bytes
    info.create_system, info.compress_type, info.external_attr = 3, how, 0o644 << 16
    archive.writestr(info, data, compresslevel=9)


def _small(example: Example, longest: int) -> Example:
    image = example.page.image
    if image is None:
        return example
    from PIL.Image import Resampling

    share = min(1.0, longest / max(image.size))
    size = max(1, round(image.width * share)), max(1, round(image.height * share))
    grey = image.convert("L")
    grey = grey if size == image.size else grey.resize(size, Resampling.LANCZOS)
    return replace(example, page=replace(example.page, image=grey, width=size[0], height=size[1]))


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > MOST_BYTES:
        raise DocumentTooLarge(f"{name} unpacks to over {MOST_BYTES} bytes.", hint=_AGAIN)
    with archive.open(name) as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise DocumentTooLarge(f"{name} unpacks to over {MOST_BYTES} bytes.", hint=_AGAIN)
    return data


def _picture(data: bytes) -> Image:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(BytesIO(data), formats=("WEBP",)) as image:
            if image.width * image.height > MOST_BYTES:
                raise DocumentTooLarge(f"a picture has over {MOST_BYTES} pixels.", hint=_AGAIN)
            return image.convert("L")
    except (UnidentifiedImageError, Image.DecompressionBombError, SyntaxError) as error:
        raise DocumentUnreadable(f"a picture can't be read: {error}.", hint=_AGAIN) from error


def _to_json(example: Example) -> dict[str, Any]:
    """Short keys and lists: a page has hundreds of words."""
    page = example.page
    lines = None if page.lines is None else [[_word(word) for word in line.words] for line in page.lines]
    return {
        "source": example.source,
        "page": [page.number, page.width, page.height, page.text_source],
        "lines": lines,
        "asked": [_qa(q) if isinstance(q, QA) else [q.task, q.question, q.answer, q.lines] for q in example.questions],
        "masked": example.masked,
        "unplaced": example.unplaced,
    }


def _word(word: Word) -> list[Any]:
    box = word.box
    return [word.text, box.x0, box.y0, box.x1, box.y1, *([] if word.confidence is None else [word.confidence])]


def _qa(qa: QA) -> list[Any]:
    step1, step3 = qa.analysis, qa.formation
    return ["QA", qa.question, step1.kind, step1.operation, step1.key, qa.lines, step3.relation, step3.key, qa.answer, qa.words]  # fmt: skip


def _from_json(facts: Any, image: Image | None) -> Example:
    """KeyError, TypeError, ValueError where it is no example; kinds and indices are checked by ``example_problem``."""
    number, width, height, text_source = facts["page"]
    lines = None if facts["lines"] is None else tuple(_line(line) for line in facts["lines"])
    if image is not None and image.size != (width, height):
        raise ValueError(f"a picture of {image.size} pixels on a page of {(width, height)}")
    page = Page(_whole(number), _whole(width), _whole(height), lines, image, _text(text_source))
    questions = tuple(_question(asked) for asked in facts["asked"])
    return Example(
        _text(facts["source"]), page, questions, _pairs(facts["masked"]), tuple(map(_whole, facts["unplaced"]))
    )


def _line(words: Any) -> Line:
    return Line(tuple(Word(_text(w[0]), Box(*map(_number, w[1:5])), _number(w[5]) if len(w) > 5 else None) for w in words))  # fmt: skip


def _question(asked: Any) -> QA | Instruction:
    if asked[0] != "QA":
        task, question, answer, lines = asked
        return Instruction(task, _text(question), _text(answer), tuple(map(_whole, lines)))
    _, question, kind, operation, key, lines, relation, beside, answer, words = asked
    return QA(
        _text(question), QuestionAnalysis(kind, operation, _text(key)), tuple(map(_whole, lines)),
        AnswerFormation(relation, _text(beside)), None if answer is None else _text(answer), _pairs(words),
    )  # fmt: skip


def _pairs(found: Any) -> tuple[tuple[int, int], ...]:
    return tuple((_whole(i), _whole(j)) for i, j in found)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text is wanted, not {type(value).__name__}")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"a whole number is wanted, not {value!r:.40}")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"a number is wanted, not {value!r:.40}")
    return value
