"""Plans as YAML for people to edit: ``plan_text`` writes one, ``read_plan`` reads it again, equal.

The keys are ``Plan``'s own; what is as by default is left out. A record's JSON Schema stands in the file too.
What is read is text and nothing else: no tags, no anchors, and "no" stays a word.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from layoutllm_graphs.planning.fields import one_line
from layoutllm_graphs.planning.plan import (
    CONSTRAINTS,
    Column,
    Condition,
    Constraint,
    Operation,
    OperationKind,
    Plan,
    PlannedQuestion,
    Refusal,
    Writing,
)
from layoutllm_tool.cot import EXPECTED_TYPES
from layoutllm_tool.errors import PlanError
from layoutllm_tool.extraction.schema import RowsOf, is_schema, shape_of

LONGEST_FILE = 1_000_000
"""Characters."""
_MOST_TOLD = 3
"""Errors that are told at once."""
_OPS = get_args(OperationKind)
_HEADER = f"""\
# A plan. Edit it, then run it:  layoutllm run FILE --plan THIS_FILE
#
# questions: add, drop, reorder or reword them. Each has a name of its own and a text; {{total}} in a text
#   stands for the answer to the question named total, which is found first. Put a text that begins with {{
#   or holds ": " in quotes. These may be left out:
#   type: {", ".join(EXPECTED_TYPES)}
#   page: 2            the only page to look at, counting from 1
#   required: false    the document may well not say it
#   choices: [yes, no] the only values allowed
#   is_list: true      every value of a column, not one answer
#   columns:           a table; each column has a name and words, and may have type, required and choices
#   path:              where the answer goes in the record: it has to be a place that the schema has
# constraints: what must hold between answers. kind: {", ".join(CONSTRAINTS)}; terms: names;
#   total: the sum's name.
# operations: what is computed from answers. of: names, or table.column; some take by, keep, descending,
#   distinct or a condition; op: {", ".join(_OPS[:5])},
#   {", ".join(_OPS[5:])};
#   condition: {{column: amount, comparison: ">", value: "250"}}.
# refused: parts of the task that are not done, with the reason.
# writing: parts that a chat model writes, where the run has one.
# schema: the record, as a JSON Schema.
"""
_MODELS: Mapping[str, type[BaseModel]] = {
    "questions": PlannedQuestion, "columns": Column, "constraints": Constraint, "operations": Operation,
    "condition": Condition, "refused": Refusal, "writing": Writing,
}  # fmt: skip


class PlanFile(NamedTuple):
    """What a file holds. ``schema``: of the record; None where the task had none."""

    plan: Plan
    schema: dict[str, Any] | None = None


# -- writing -----------------------------------------------------------------------------------------------


def plan_text(plan: Plan, schema: Mapping[str, Any] | None = None) -> str:
    """The file's text: comments that say what may be edited, then the plan."""
    data: dict[str, Any] = plan.model_dump(mode="json", exclude_defaults=True)
    if schema is not None:
        data["schema"] = _Literal(json.dumps(schema, indent=1))
    written = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return f"{_HEADER}\n{written}"


class _Literal(str):
    """Written as a block of lines."""


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Short lists on one line, no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> Any:
        short = not any(isinstance(item, (dict, list)) for item in sequence)
        return super().represent_sequence(tag, sequence, flow_style=short)

    def represent_scalar(self, tag: str, value: str, style: str | None = None) -> Any:
        # PyYAML folds these breaks into blanks unless they are escaped.
        escaped = any(mark in value for mark in "\x85\u2028\u2029")
        return super().represent_scalar(tag, value, style='"' if escaped else style)


_Dumper.add_representer(
    _Literal, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")
)


# -- reading -----------------------------------------------------------------------------------------------


def read_plan(text: str, name: str = "the plan") -> PlanFile:
    """The file's plan and schema. PlanError with the line, the name and what to do; ``name``: of the file."""
    if len(text) > LONGEST_FILE:
        hint = f"At most {LONGEST_FILE:,}: split the task."
        raise PlanError(f"{name} has {len(text):,} characters.", hint=hint)
    root = _composed(text, name)
    try:
        data = _plain(root, set())
    except _Fault as fault:
        raise _error(name, fault.line, str(fault)) from None
    except RecursionError:
        raise PlanError(f"{name} is nested too deeply.", hint="Write it as `layoutllm plan` does.") from None
    schema = _schema(data.pop("schema", None), root, name)
    try:
        plan = Plan.model_validate(data)
    except ValidationError as error:
        raise _invalid(error, root, name) from error
    if schema is not None:
        _check_paths(plan, schema, root, name)
    return PlanFile(plan, schema)


def _composed(text: str, name: str) -> yaml.MappingNode:
    """The file as YAML's nodes, which know their lines."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise _error(name, line, f"this is no YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise PlanError(f"{name} is no YAML: {one_line(str(error))[:200]}.", hint=_HINT) from error
    if not isinstance(root, yaml.MappingNode):
        raise PlanError(
            f"{name} holds no plan.", hint="It begins with `questions:`, as `layoutllm plan` writes it."
        )
    return root


_HINT = "Correct it; the comments that `layoutllm plan` writes at the top say what may stand there."


class _Fault(Exception):
    def __init__(self, node: yaml.Node, message: str) -> None:
        super().__init__(message)
        self.line = _line(node)


def _line(node: yaml.Node) -> int:
    """Counting from 1."""
    return int(node.start_mark.line) + 1


def _plain(node: yaml.Node, seen: set[int]) -> Any:
    """Mappings, lists and texts, None for an empty one. A node that comes a second time is an alias."""
    if id(node) in seen:
        raise _Fault(node, "anchors and aliases (& and *) are not read here; write it out")
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, seen) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _Fault(key, "a key is one word")
            if key.value in found:
                raise _Fault(key, f"the key {key.value!r} stands here twice")
            found[key.value] = _plain(value, seen)
        return found
    return None if node.style is None and node.value in ("", "~", "null") else node.value


def _schema(text: Any, root: yaml.MappingNode, name: str) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        schema = json.loads(text)
        if not isinstance(schema, dict) or not is_schema(schema):
            raise ValueError("it describes no object")
    except (TypeError, ValueError, RecursionError) as error:
        line = _line(_at(root, ("schema",)))
        raise _error(name, line, f"schema is no JSON Schema: {one_line(str(error))[:200]}") from error
    return schema


def _check_paths(plan: Plan, schema: Mapping[str, Any], root: yaml.Node, name: str) -> None:
    """PlanError where an answer would go to a place that the schema does not have."""
    known = {part.path: isinstance(part, RowsOf) for part in shape_of(schema).parts}
    for number, question in enumerate(plan.questions):
        if question.path and tuple(question.path) not in known:
            places = ", ".join("/".join(path) for path in known)
            told = (
                f"question {question.name!r}: the schema has no {'/'.join(question.path)!r}; it has {places}"
            )
            raise _error(name, _line(_at(root, ("questions", number, "path"))), told)


# -- errors ------------------------------------------------------------------------------------------------


def _invalid(error: ValidationError, root: yaml.Node, name: str) -> PlanError:
    """The first few faults, each with its line."""
    found = error.errors(include_url=False, include_input=False)
    told = [f"line {_where(fault, root)}: {_message(fault, root)}" for fault in found[:_MOST_TOLD]]
    told += [f"and {len(found) - _MOST_TOLD} more"] if len(found) > _MOST_TOLD else []
    return PlanError(f"{name}, {'; '.join(told)}.", hint=_HINT)


def _error(name: str, line: int, message: str) -> PlanError:
    return PlanError(f"{name}, line {line}: {message}.", hint=_HINT)


def _where(fault: ErrorDetails, root: yaml.Node) -> str:
    """The fault's line, or those of the names that it speaks of."""
    names = getattr(fault.get("ctx", {}).get("error"), "names", ())
    nodes = [node for name in names for node in _named(root, name)] or [_at(root, fault["loc"])]
    return ", ".join(map(str, sorted({_line(node) for node in nodes})[:5]))


def _named(root: yaml.Node, name: str) -> list[yaml.Node]:
    """Where the plan's questions and operations of that name stand; else where the name is used."""
    items = [item for part in ("questions", "operations") for item in _items(_at(root, (part,)))]
    found = [node for item in items if (node := _at(item, ("name",))) is not item and node.value == name]
    return found or [node for node in _texts(root) if node.value == name or f"{{{name}}}" in node.value]


def _items(node: yaml.Node) -> list[yaml.Node]:
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _texts(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _texts(item)
    else:
        for _, value in node.value:
            yield from _texts(value)


def _at(node: yaml.Node, path: tuple[int | str, ...]) -> yaml.Node:
    """The node there, or the last one on the way that there is."""
    for step in path:
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            continue
        inside = node.value if isinstance(node, yaml.MappingNode) else []
        found = next((value for key, value in inside if key.value == step), None)
        if found is None:
            return node
        node = found
    return node


def _message(fault: ErrorDetails, root: yaml.Node) -> str:
    """ "question 'total', type: input should be ..." """
    *above, last = fault["loc"] or ("",)
    what = [
        _label(root, fault["loc"][: at + 1]) for at, step in enumerate(fault["loc"]) if isinstance(step, int)
    ]
    own = [last] if isinstance(last, str) and fault["type"] != "value_error" else []
    where = ", ".join([*what, *filter(None, own)])
    told = one_line(fault["msg"].removeprefix("Value error, "))
    if fault["type"] == "extra_forbidden":
        told = f"there is no key {last!r}; those there are: {', '.join(_keys(above))}"
        where = ", ".join(what)
    return f"{where}: {told}" if where else told


def _label(root: yaml.Node, path: tuple[int | str, ...]) -> str:
    """A question's, column's or operation's name; for what has none, its number from 1."""
    kind, number = path[-2], path[-1]
    item = _at(root, path)
    named = _at(item, ("name",))
    singular = str(kind).removesuffix("s")
    if named is item or not isinstance(named, yaml.ScalarNode):
        return f"{singular} {int(number) + 1}"
    return f"{singular} {one_line(str(named.value))[:64]!r}"


def _keys(above: list[int | str]) -> list[str]:
    """Those of the model that the path leads to."""
    kind = next((step for step in reversed(above) if isinstance(step, str)), "")
    model = _MODELS.get(kind)
    return [*model.model_fields] if model else [*Plan.model_fields, "schema"]
