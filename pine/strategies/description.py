"""What a parameter class says of itself: names, types, defaults, bounds, and the meaning from its docstring."""

import inspect
import re
import textwrap
import typing
from collections.abc import Iterator
from typing import Any, Final, Literal, get_args, get_origin

import attrs
from attrs import frozen

_NAMES: Final = re.compile(r"\w+(, \w+)*")


@frozen
class Parameter:
    """One parameter of a strategy type.

    Attributes
    ----------
    type
        As people write it: ``number``, ``whole number``, ``true or false``, ``text``, or the words allowed.
    bounds
        What its value must be; empty if anything of its type will do.
    meaning
        From the docstring; empty if that says nothing of it.
    """

    name: str
    type: str
    default: Any
    bounds: str
    meaning: str


def parameters(params: type) -> list[Parameter]:
    """Return what the parameters of an attrs class are; every one has a default."""
    defaults, told = params(), meanings(params)
    hints = typing.get_type_hints(params)
    return [
        Parameter(
            item.name,
            _type_words(hints.get(item.name, item.type)),
            getattr(defaults, item.name),
            _bounds(item.validator),
            told.get(item.name, ""),
        )
        for item in attrs.fields(params)
    ]


def summary(found: type) -> str:
    """Return the first line of a class's own docstring."""
    text = found.__dict__.get("__doc__") or ""
    return inspect.cleandoc(text).partition("\n")[0]


def _type_words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " | ".join(map(str, get_args(kind)))
    words = {int: "whole number", float: "number", bool: "true or false", str: "text", list[str]: "list of texts"}
    return words.get(kind) or str(getattr(kind, "__name__", kind))


def _bounds(validator: Any) -> str:
    """Return what attrs' own validators of numbers and lengths ask for; others say it when they are asked."""
    inner = getattr(validator, "_validators", None) or ([] if validator is None else [validator])
    told = [f"{item.compare_op} {item.bound}" for item in inner if hasattr(item, "compare_op")]
    return ", ".join(told)


def meanings(found: type) -> dict[str, str]:
    """Return what a class's docstring says of each attribute."""
    return dict(_meanings(found))


def _meanings(params: type) -> Iterator[tuple[str, str]]:
    """Read the section ``Attributes`` of a docstring: names that a line holds, and the indented text below them."""
    _, _, section = inspect.cleandoc(params.__dict__.get("__doc__") or "").partition("Attributes\n----------\n")
    blocks = re.split(r"\n(?=\S)", section.split("\n\n")[0])
    for block in blocks:
        head, _, body = block.partition("\n")
        if _NAMES.fullmatch(head):
            meaning = " ".join(textwrap.dedent(body).split())
            yield from ((name, meaning) for name in head.split(", "))
