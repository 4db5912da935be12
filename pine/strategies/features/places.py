"""Whose bars an address means where it names no symbol, or one that is not there."""

from collections.abc import Mapping

from attrs import field, frozen

from pine.core.config import PAIRS, STAND_INS


@frozen
class Places:
    """Which symbols ``pair`` means, and which symbols are fed by another one's bars."""

    pairs: Mapping[str, str] = field(default=PAIRS)
    stand_ins: Mapping[str, str] = field(default=STAND_INS)
