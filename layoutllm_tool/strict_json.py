"""Read JSON that strangers send: bounded before objects are made of it, and strict.

Parsing lets other threads run: it calls back into Python for every object and number.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

MOST_VALUES = 50_000
"""Commas, brackets and escapes in a body, about one for each value. An attempt has a few hundred."""
_MOST_DIGITS = 400
_LONGEST_NAME = 200
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_Model = TypeVar("_Model", bound=BaseModel)


class BodyUnreadable(Exception):
    """A body that can't be taken. ``status`` is HTTP's: 400 no JSON, 413 too large, 422 another schema."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.message, self.status = message, status


def read_json(model: type[_Model], body: bytes, most_values: int = MOST_VALUES) -> _Model:
    """BodyUnreadable, with a message in one line that repeats nothing of the body."""
    value = parse(body, most_values)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        message = faults(error)
    del value  # what is raised keeps what its frames hold, and what it was raised from
    raise BodyUnreadable(message, 422)


def faults(error: ValidationError) -> str:
    """Pydantic's first few in one line, without the values: they may be long, and are not ours to repeat."""
    found = error.errors(include_url=False, include_input=False, include_context=False)[:3]
    texts = [f"{'.'.join(map(str, one['loc'][:6])) or 'body'}: {one['msg']}" for one in found]
    return "".join(c if c.isprintable() else " " for c in "; ".join(texts)[:500]) + "."


def parse(body: bytes, most_values: int = MOST_VALUES) -> Any:
    """JSON in UTF-8, without names given twice, NaN, lone surrogates and endless numbers. BodyUnreadable."""
    if sum(map(body.count, (b",", b"[", b"{", b"\\"))) > most_values:
        raise BodyUnreadable(f"it holds more than {most_values:,} values.", 413)
    why = ("it is no JSON.", 400)
    try:
        value = json.loads(
            body.decode(), object_pairs_hook=_object, parse_int=_integer, parse_constant=_no_number
        )
        if _SURROGATE.search(body):
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except RecursionError:
        why = ("it is nested too deeply.", 400)
    except UnicodeEncodeError:
        why = ("a text holds half a character (a lone surrogate).", 422)
    except ValueError:
        pass
    value = None
    raise BodyUnreadable(*why)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BodyUnreadable("a name stands twice in one object.", 400)
    if any(len(name) > _LONGEST_NAME for name in found):
        raise BodyUnreadable("a name is too long.", 422)
    return found


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise BodyUnreadable("a number is too long.", 400)
    return int(digits)


def _no_number(name: str) -> NoReturn:
    raise BodyUnreadable(f"{name} is no JSON number.", 400)
