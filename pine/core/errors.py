"""Every error that pine raises on purpose.

PineError
├── ConfigError          the configuration cannot be used; carries every mistake found
├── SecretMissing        a command needs a secret that is not set
├── KeyRefused           Databento does not accept the API key
├── HistoryError         Databento Historical did not give what was asked
│   ├── TooDear          it would cost more than the configuration allows
│   ├── Unreachable      it does not answer, or puts off, however often it is asked
│   └── Unresolved       it knows no instrument by that symbol in that time
├── ContractError        a symbol that cannot be read as a contract
├── DataError            bytes, records or files that cannot be what they claim
│   └── SourcesDiffer    two sources of history hold different bars
├── BusError             the server refuses, or holds something that contradicts us
│   ├── NoServer         no embedded server runs, and none was to be started
│   ├── ServerUnfit      the server's settings would break a promise
│   ├── Conflict         a stream already holds another entry under this id
│   ├── Fenced           somebody with a newer token took over
│   └── WentBack         the server does not hold any more what it had acknowledged
├── ArchiveError         the archive's location cannot be used
│   └── ArchiveDiffers   the archive already holds something else
├── BadType              a strategy type that cannot be used
├── UnknownSymbol        no hub has registered the symbol
├── CannotCompare        two records that have nothing in common
├── FeatureError         an address of a feature that cannot be read, or that nobody asked for
├── WarmUpMissing        history that a strategy needs before its first step cannot be had
├── ModelError           a model's files do not fit together or their place, or a row that cannot be scored
└── SandboxError         a stand-in of the outside world was asked for something impossible
"""

import os
from collections.abc import Sequence
from pathlib import Path


class PineError(Exception):
    """Base of all errors with a message meant for the person at the desk."""


class ConfigError(PineError):
    """A configuration that cannot be used.

    Parameters
    ----------
    problems
        One line per mistake, each naming place, what was found and what is allowed.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class SecretMissing(PineError):
    """A secret that this command needs is not set."""


class ContractError(PineError):
    """A symbol that is no contract of any known root."""


class KeyRefused(PineError):
    """Databento does not accept the API key."""


class HistoryError(PineError):
    """Databento Historical refused, could not be reached, or did not give everything."""


class TooDear(HistoryError):
    """A question to Databento Historical that would cost more than the configuration allows."""


class Unreachable(HistoryError):
    """Databento Historical does not answer, or puts off whoever asks: asking for something else would not help."""


class Unresolved(HistoryError):
    """A symbol that stands for nothing in the time asked for."""


class DataError(PineError):
    """Data that contradicts its own description."""


class SourcesDiffer(DataError):
    """Two sources of history hold different bars of the same time."""


class BusError(PineError):
    """The stream server refused, or holds something unexpected."""


class NoServer(BusError):
    """No embedded server runs, and none was to be started.

    The message ends with a command that starts one, so that options may follow it.

    Parameters
    ----------
    data_dir
        Where none runs.
    """

    def __init__(self, data_dir: Path) -> None:
        super().__init__(f"no server runs in {os.path.normpath(data_dir)}; start the hub, or pine server start")


class ServerUnfit(BusError):
    """The server runs with settings under which a promise could not be kept."""


class Conflict(BusError):
    """A stream holds a different entry under the id that was to be written, or is already past it."""


class Fenced(BusError):
    """A newer holder of the lease exists; this process must stop writing."""


class WentBack(BusError):
    """The server does not hold any more what it had acknowledged: take up again from what it holds."""


class ArchiveError(PineError):
    """The archive's location cannot be read or written."""


class ArchiveDiffers(ArchiveError):
    """The archive holds something else than what was to be put there."""


class BadType(PineError):
    """A strategy type that is not there, or cannot be used."""


class UnknownSymbol(PineError):
    """A symbol that no hub has registered."""


class CannotCompare(PineError):
    """Two records of which nobody can say whether they are the same."""


class FeatureError(PineError):
    """An address of a feature that cannot be read, or a value of one that was not asked for."""


class WarmUpMissing(PineError):
    """History that a strategy needs before its first step cannot be had."""


class ModelError(PineError):
    """A model that cannot be used: its files do not fit together or their place, or a row cannot be scored.

    Attributes
    ----------
    kind
        What does not fit, in one word; nothing for a row.
    """

    kind: str = ""


class SandboxError(PineError):
    """A stand-in of the outside world cannot do what was asked."""
