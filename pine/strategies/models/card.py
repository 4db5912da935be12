"""A model's card: the side file that says what the model was made of, what it reads and how its score is judged."""

import hashlib
import math
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import orjson
from attrs import asdict, field, frozen, validators

from pine.core.errors import ModelError
from pine.core.times import parse_time
from pine.strategies.models.files import read_file, replace_file

if TYPE_CHECKING:
    import cattrs

GENERATED: Final = "generated"
"""What a card says of its data where no exchange has traded it."""

CARD: Final = ".card.json"
MODEL: Final = ".json"
"""What the names of the two files of a symbol end with."""

LARGEST: Final = 3.4028234e38
"""xgboost reads 32-bit floats; what is larger would be infinite there."""

DEEPEST: Final = 32
"""How many lists and settings may be inside each other in a card."""

HASH_LENGTH: Final = 64
_HASH_DIGITS: Final = frozenset("0123456789abcdef")
_PLACE: Final = re.compile(r"[\w.]+:\w+")
_OPTIONS: Final = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


def _features(_card: object, _attribute: Any, value: tuple[str, ...]) -> None:
    if not value or not all(value):
        raise ValueError(f"found {list(value)!r}, expected the addresses of one feature or more")
    if repeated := sorted({name for name in value if value.count(name) > 1}):
        raise ValueError(f"found {', '.join(repeated)} more than once, expected every feature once")


def _time(_card: object, _attribute: Any, value: str) -> None:
    parse_time(value)


def _end(card: "Card", _attribute: Any, value: str) -> None:
    if parse_time(value) < parse_time(card.trained_from):
        raise ValueError(f"found {value!r}, expected a time that is not before trained_from, {card.trained_from}")


def _hash(card: "Card", _attribute: Any, value: str) -> None:
    if value == "" and (card.scorer is None or card.model_file is None):
        return
    if len(value) != HASH_LENGTH or not set(value) <= _HASH_DIGITS:
        raise ValueError(f"found {value!r}, expected the sha256 of the model file in hexadecimal")


def _fill(card: "Card", _attribute: Any, value: dict[str, float]) -> None:
    for name, number in value.items():
        if name not in card.features:
            raise ValueError(f"found {name!r}, expected features of this model only: {', '.join(card.features)}")
        if not math.isfinite(number) or abs(number) > LARGEST:
            raise ValueError(f"found {number!r} for {name}, expected a finite number within 32-bit floats")


def _file(_card: object, _attribute: Any, value: str | None) -> None:
    if value is not None and (value in {"", ".", ".."} or "\0" in value or Path(value).name != value):
        raise ValueError(f"found {value!r}, expected the name of a file beside the card")


def _text(_card: object, _attribute: Any, value: str) -> None:
    if not value:
        raise ValueError("found nothing, expected text")


def _scorer(_card: object, _attribute: Any, value: str | None) -> None:
    if value is not None and not _PLACE.fullmatch(value):
        raise ValueError(f"found {value!r}, expected module:callable")


@frozen
class Card:
    """What is known of one model.

    Attributes
    ----------
    strategy, symbol
        Whose it is; the same as in its place ``<strategy>/<symbol>.card.json``.
    features
        Canonical feature addresses, in the order in which the model reads them.
    threshold
        Least score of an entry, 0 to 1.
    trained_from, trained_to
        First and last instant of the data it was trained on, ISO 8601, UTC.
    label
        What the score is the probability of, in words.
    built_with
        What made it, with the version: ``xgboost 3.2.0``.
    data
        Whether it was trained on a generated market, which is worth nothing on a real one, or on a recorded one.
    data_hash
        Of the rows it was trained on, as whoever trained it states it.
    model_hash
        sha256 of the model file in hexadecimal; empty until `save_model` fills it in, or if there is no file.
    seed
        Of everything random in the training.
    params
        Of the training, as the library names them.
    metrics
        What it achieved.
    fill
        The number that stands for a missing value, by feature; a missing value of any other feature is an error.
    scorer
        ``module:callable`` of what scores instead of xgboost; nothing for xgboost itself.
    model_file
        Name of the model file beside the card, for a scorer; nothing if it has none. xgboost's is ``<symbol>.json``.
    """

    strategy: str = field(validator=_text)
    symbol: str = field(validator=_text)
    features: tuple[str, ...] = field(validator=_features)
    threshold: float = field(validator=[validators.ge(0), validators.le(1)])
    trained_from: str = field(validator=_time)
    trained_to: str = field(validator=[_time, _end])
    label: str = field(validator=_text)
    built_with: str = field(validator=_text)
    data: Literal["generated", "recorded"] = field(validator=validators.in_(("generated", "recorded")))
    data_hash: str
    model_hash: str = field(validator=_hash)
    seed: int
    params: dict[str, Any]
    metrics: dict[str, Any]
    fill: dict[str, float] = field(factory=dict, validator=_fill)
    scorer: str | None = field(default=None, validator=_scorer)
    model_file: str | None = field(default=None, validator=_file)


def card_path(folder: Path, strategy: str, symbol: str) -> Path:
    """Return where the card of a strategy's symbol is."""
    return folder / strategy / f"{symbol}{CARD}"


def model_path(folder: Path, strategy: str, symbol: str) -> Path:
    """Return where xgboost's model of a strategy's symbol is."""
    return folder / strategy / f"{symbol}{MODEL}"


def file_hash(path: Path) -> str:
    """Return the sha256 of a model file as a card states it.

    Raises
    ------
    ModelError
        If it cannot be read.
    """
    content = read_file(path)
    if content is None:
        raise ModelError(f"{path}: there is no such file, expected a model")
    return hashlib.sha256(content).hexdigest()


def read_card(path: Path) -> Card:
    """Read a card.

    Raises
    ------
    ModelError
        If it cannot be read, or anything in it is missing, unknown, of another kind or out of bounds.
    """
    content = read_file(path)
    if content is None:
        raise ModelError(f"{path}: there is no such file, expected a model's card")
    return decode_card(path, content)


def write_card(path: Path, card: Card) -> None:
    """Write a card in one go: whoever reads finds the old one or this one, also after a crash.

    Raises
    ------
    ModelError
        If it cannot be written.
    """
    replace_file(path, encode_card(path, card))


def encode_card(path: Path, card: Card) -> bytes:
    """Return a card as it is in its file; the path is for the message.

    Raises
    ------
    ModelError
        If something in it has no place in JSON.
    """
    try:
        return orjson.dumps(asdict(card), option=_OPTIONS)
    except (TypeError, RecursionError) as error:
        raise ModelError(f"{path}: the card cannot be written as JSON: {error}") from None


def decode_card(path: Path, content: bytes) -> Card:
    """Read a card from the content of its file; the path is for the message.

    Raises
    ------
    ModelError
        As `read_card` does.
    """
    from pine.core.config.structure import Mistakes, structure

    try:
        raw = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise ModelError(f"{path}: found {len(content)} bytes that are no JSON ({error}), expected a card") from None
    if not isinstance(raw, dict):
        raise ModelError(f"{path}: found {type(raw).__name__}, expected a card: settings by name")
    if _is_deep(raw):
        raise ModelError(f"{path}: found values that are more than {DEEPEST} deep in each other, expected a card")
    try:
        card: Card = structure(_converter(), raw, Card)
    except Mistakes as error:
        told: dict[str, str] = {}
        for where, text in error.found:  # what cannot be read is then missing too, which is the same mistake
            told.setdefault(".".join(map(str, where)) or "card", text)
        raise ModelError(f"{path}: {'; '.join(f'{name}: {text}' for name, text in told.items())}") from None
    return card


def _is_deep(raw: Any) -> bool:
    layer = [raw]
    for _ in range(DEEPEST + 1):
        lists = [one.values() if isinstance(one, dict) else one for one in layer if isinstance(one, dict | list)]
        layer = [inner for one in lists for inner in one]
    return bool(layer)


@cache
def _converter() -> "cattrs.Converter":
    from pine.core.config.structure import make_converter

    converter = make_converter()

    def names(value: Any, _type: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise TypeError(f"found {value!r}, expected a list of texts")
        return tuple(value)

    converter.register_structure_hook_func(lambda kind: kind == tuple[str, ...], names)
    return converter
