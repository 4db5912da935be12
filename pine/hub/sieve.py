"""Takes records that the vendor's decoder cannot read out of a stream, so that the rest can be.

One such record makes the decoder give up on everything around it, and a replay would bring it again. After a first
failure a connection therefore reads through this sieve: slower, since it looks at every record.
"""

from collections import Counter
from typing import Any, Final

import databento_dbn as dbn
from attrs import define, field

from pine.hub.runs import LEAST, WORD, header_length

_TRADE: Final = 0
_TEXTS: Final = ("msg", "err", "code", "stype_in_symbol", "stype_out_symbol")


@define
class Sieve:
    """Splits a live stream into records and passes on those that can be decoded.

    Parameters
    ----------
    counts
        Where records that are left out are counted, by type.
    """

    counts: Counter[str]
    _rest: bytes = b""
    _version: int | None = None
    _known: set[int] = field(factory=set)

    def sift(self, data: bytes) -> bytes:
        """Return the sound records of what was received so far; an incomplete one waits for its end.

        Raises
        ------
        ValueError
            If the bytes are no records at all: nothing tells where the next one would begin.
        """
        data = self._rest + data
        passed = []
        at = 0
        if self._version is None:
            at = header_length(data)
            if not at:
                self._rest = data
                return b""
            self._version = data[3]
            passed.append(data[:at])
        while at < len(data) and (end := at + data[at] * WORD) <= len(data):
            if end - at < LEAST:
                raise ValueError(f"found a record of {end - at} bytes, expected at least {LEAST}")
            record = data[at:end]
            if self._sound(record):
                passed.append(record)
            else:
                self.counts[f"undecodable_record:{record[1]}"] += 1
            at = end
        self._rest = data[at:]
        return b"".join(passed)

    def _sound(self, record: bytes) -> bool:
        if record[1] == _TRADE and len(record) == dbn.TradeMsg.size_hint:
            return True
        try:
            policy: Any = dbn.VersionUpgradePolicy.UPGRADE_TO_V3
            decoder = dbn.DBNDecoder(has_metadata=False, input_version=self._version, upgrade_policy=policy)
            (decoded,) = decoder.write_and_decode(record)
            for name in _TEXTS:
                getattr(decoded, name, None)  # texts are decoded when they are asked for
            return True
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # noqa: BLE001  # whatever it objects to, even by a panic, it would in the stream too
            return False
