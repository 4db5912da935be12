"""Addresses of features: ``rsi(2)``, ``ibs@pair``, ``z_score(20, 252)@NQ.daily``.

A name, arguments in parentheses (numbers, words or addresses, by position or by name), and after ``@`` a symbol or
``pair``, a timeframe, or both with a dot between. What is left out: parameters are the definition's own, the
symbol is the instrument's, the timeframe hourly; inside another address, symbol and timeframe are that one's.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, NoReturn

from attrs import frozen

from pine.core.config.quoted import quoted
from pine.core.errors import FeatureError
from pine.core.timeframe import Timeframe
from pine.strategies.features.aliases import ALIASES, alias
from pine.strategies.features.parameters import Parameter, Real, Source, parameters
from pine.strategies.features.registry import FEATURES

PAIR: Final = "pair"
DEFAULT_TIMEFRAME: Final = Timeframe.HOUR
_TIMEFRAMES: Final = {timeframe.value: timeframe for timeframe in Timeframe}
_DEEPEST: Final = 16
_LONGEST_NUMBER: Final = 100
_NUMBER: Final = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?!\w)")
_WORD: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_PLACE: Final = re.compile(r"(\w+)(?:\s*\.\s*(\w+))?", re.ASCII)
_SYMBOL: Final = re.compile(r"[A-Z0-9]{1,12}")
_PLAIN: Final = re.compile(r"\s*\w+\s*")
_SPACE: Final = re.compile(r"\s*")

Argument = "int | float | str | Address"


@frozen(cache_hash=True)
class Address:
    """A feature of an instrument that is not said yet; its text is canonical.

    Attributes
    ----------
    name
        The definition's.
    arguments
        Each parameter with its value: a number, a word, or the address of another feature.
    symbol
        A symbol, ``pair``, or nothing: the instrument's own, or inside another address that one's.
    timeframe
        Nothing means hourly, or inside another address that one's.
    """

    name: str
    arguments: tuple[tuple[str, Any], ...] = ()
    symbol: str | None = None
    timeframe: Timeframe | None = None

    def __str__(self) -> str:
        inside = ", ".join(f"{name}={value}" for name, value in self.arguments)
        place = ".".join(part for part in (self.symbol, self.timeframe.value if self.timeframe else None) if part)
        return self.name + (f"({inside})" if inside else "") + (f"@{place}" if place else "")


@lru_cache(maxsize=4096)
def parse_address(text: str) -> Address:
    """Read the address of a feature, or an old system's name of one.

    Raises
    ------
    FeatureError
        If it cannot be read; names what was found, near names, the parameters allowed and their bounds.
    """
    old = None if _known(text) else alias(text)
    if old is None and not _known(text) and _PLAIN.fullmatch(text):
        raise FeatureError(
            f"feature {quoted(text)}: found neither a feature nor an old name; {near(text, (*FEATURES, *ALIASES))}"
        )
    return _bound(_Reader(old or text).whole(), text, None, DEFAULT_TIMEFRAME)


@lru_cache(maxsize=4096)
def parse_input(text: str) -> Address:
    """Read an address that stands inside another one: what it leaves out is that one's."""
    return _bound(_Reader(text).whole(), text, None, None)


def near(found: str, known: Iterable[str]) -> str:
    """Return the end of a message: the names most like the one found, or all of few."""
    names = sorted(known)
    close = difflib.get_close_matches(found.strip().lower(), names, n=3, cutoff=0.5)
    if close or len(names) <= len(_TIMEFRAMES) + 1:
        return f"near names are {', '.join(close or names)}"
    return "pine features lists all"


def signature(name: str) -> str:
    """Return a definition's name with its parameters and their bounds."""
    return f"{name}({'; '.join(map(str, parameters(FEATURES[name])))})"


def _known(text: str) -> bool:
    return text.strip() in FEATURES or any(mark in text for mark in "()@=,")


@frozen
class _Raw:
    """An address as it is written; `places` tells whether anything but a word was."""

    name: str
    given: tuple[tuple[str | None, Any], ...] = ()
    symbol: str | None = None
    timeframe: Timeframe | None = None
    word: bool = True


class _Reader:
    """Reads one text from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def whole(self) -> _Raw:
        """Return what the whole text says."""
        raw = self._feature(0)
        self._skip()
        if self._at < len(self._text):
            self._fail("the end, ( or @")
        return raw

    def _feature(self, depth: int) -> _Raw:
        if depth > _DEEPEST:
            self._fail(f"addresses at most {_DEEPEST} deep in each other")
        name = self._match(_WORD)
        if name is None:
            self._fail("the name of a feature")
        bare = True
        given: tuple[tuple[str | None, Any], ...] = ()
        if self._takes("("):
            given, bare = self._arguments(depth), False
        symbol, timeframe = None, None
        if self._takes("@"):
            (symbol, timeframe), bare = self._place(), False
        return _Raw(name[0], given, symbol, timeframe, bare)

    def _arguments(self, depth: int) -> tuple[tuple[str | None, Any], ...]:
        given: list[tuple[str | None, Any]] = []
        if self._takes(")"):
            return ()
        while True:
            given.append(self._argument(depth))
            if self._takes(")"):
                return tuple(given)
            if not self._takes(","):
                self._fail(", or )")

    def _argument(self, depth: int) -> tuple[str | None, Any]:
        name = None
        start = self._at
        word = self._match(_WORD)
        if word is not None and self._takes("="):
            name = word[0]
        else:
            self._at = start
        number = self._match(_NUMBER)
        if number is not None:
            return name, self._number(number[0])
        return name, self._feature(depth + 1)

    def _number(self, digits: str) -> int | float:
        if len(digits) > _LONGEST_NUMBER:
            self._fail(f"a number of at most {_LONGEST_NUMBER} characters before this one")
        return int(digits) if digits.lstrip("+-").isdigit() else float(digits)

    def _place(self) -> tuple[str | None, Timeframe | None]:
        found = self._match(_PLACE)
        if found is None:
            self._fail("a symbol, pair, or a timeframe")
        first, second = found.groups()
        if second is None and first in _TIMEFRAMES:
            return None, _TIMEFRAMES[first]
        if first != PAIR and not _SYMBOL.fullmatch(first):
            self._fail_at(
                found, first, f"pair, a symbol in capitals, or a timeframe; {near(first, (PAIR, *_TIMEFRAMES))}"
            )
        if second is not None and second not in _TIMEFRAMES:
            self._fail_at(found, second, f"a timeframe; {near(second, _TIMEFRAMES)}")
        return first, None if second is None else _TIMEFRAMES[second]

    def _skip(self) -> None:
        space = _SPACE.match(self._text, self._at)
        assert space is not None
        self._at = space.end()

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        self._skip()
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return found

    def _takes(self, mark: str) -> bool:
        self._skip()
        if not self._text.startswith(mark, self._at):
            return False
        self._at += 1
        return True

    def _fail(self, expected: str) -> NoReturn:
        found = repr(self._text[self._at : self._at + 20]) if self._at < len(self._text) else "the end"
        raise FeatureError(
            f"feature {quoted(self._text)}, character {self._at + 1}: found {found}, expected {expected}"
        )

    def _fail_at(self, match: re.Match[str], found: str, expected: str) -> NoReturn:
        raise FeatureError(
            f"feature {quoted(self._text)}, character {match.start() + 1}: found {quoted(found)}, expected {expected}"
        )


def _bound(raw: _Raw, text: str, symbol: str | None, timeframe: Timeframe | None) -> Address:
    """Return the address that a text means inside one of a symbol and timeframe; what equals those is left out."""
    definition = FEATURES.get(raw.name)
    if definition is None:
        raise FeatureError(
            f"feature {quoted(text)}: found {quoted(raw.name)}, expected the name of a feature; "
            f"{near(raw.name, FEATURES)}"
        )
    own_symbol = raw.symbol or symbol
    own_timeframe = raw.timeframe or timeframe
    given = _given(raw, text)
    arguments = tuple(
        (parameter.name, _argument(given, parameter, raw.name, text, own_symbol, own_timeframe))
        for parameter in parameters(definition)
    )
    return Address(
        raw.name,
        arguments,
        None if raw.symbol == symbol and raw.symbol != PAIR else raw.symbol,
        None if raw.timeframe == timeframe else raw.timeframe,
    )


def _given(raw: _Raw, text: str) -> dict[str, Any]:
    """Return the arguments by parameter."""
    allowed = [parameter.name for parameter in parameters(FEATURES[raw.name])]
    found: dict[str, Any] = {}
    for position, (name, value) in enumerate(raw.given):
        if name is None and position >= len(allowed):
            count = f"found {len(raw.given)} arguments, expected up to {len(allowed)}"
            raise FeatureError(f"feature {quoted(text)}: {count}; {signature(raw.name)}")
        if name is None and any(earlier for earlier, _ in raw.given[:position]):
            raise FeatureError(
                f"feature {quoted(text)}: found an argument without a name after one with; {signature(raw.name)}"
            )
        word = name or allowed[position]
        if word not in allowed:
            raise FeatureError(
                f"feature {quoted(text)}: found parameter {quoted(word)}, expected one of {signature(raw.name)}"
            )
        if word in found:
            raise FeatureError(f"feature {quoted(text)}: found parameter {quoted(word)} twice, expected it once")
        found[word] = value
    return found


def _argument(
    given: Mapping[str, Any],
    parameter: Parameter,
    name: str,
    text: str,
    symbol: str | None,
    timeframe: Timeframe | None,
) -> Any:
    value = given.get(parameter.name, parameter.default)
    if value is None:
        raise FeatureError(f"feature {quoted(text)}: {name} lacks {parameter.name}, expected {signature(name)}")
    if isinstance(parameter.kind, Source):
        raw = _Reader(value).whole() if isinstance(value, str) else value
        if not isinstance(raw, _Raw):
            raise FeatureError(
                f"feature {quoted(text)}: {parameter.name}: found {quoted(raw)}, expected a feature; {signature(name)}"
            )
        return _bound(raw, text, symbol, timeframe)
    plain = value.name if isinstance(value, _Raw) and value.word else value
    if not parameter.kind.takes(plain):
        shown = text if isinstance(plain, _Raw) else plain
        raise FeatureError(
            f"feature {quoted(text)}: {parameter.name}: found {quoted(shown)}, expected {parameter.kind}; "
            f"{signature(name)}"
        )
    return float(plain) if isinstance(parameter.kind, Real) else plain
