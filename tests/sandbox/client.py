"""A gateway client made of a plain socket, for what the vendor's client never says."""

import hashlib
import socket
from collections.abc import Callable
from typing import Any, Self

import databento_dbn

dbn: Any = databento_dbn  # its stubs take enumeration members for plain values

KEY = "db-" + "k" * 29
DEADLINE_S = 10.0


class LsgClient:
    """One connection; every read ends with a failure after the deadline."""

    def __init__(self, port: int, *, key: str = KEY, heartbeat: int = 30, zstd: bool = False) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
        self.key = key
        self.heartbeat = heartbeat
        self.zstd = zstd
        self.records: list[Any] = []
        compression = dbn.Compression.ZSTD if zstd else dbn.Compression.NONE
        self._decoder = dbn.DBNDecoder(compression=compression)
        self._text = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.socket.close()

    def line(self) -> str:
        while b"\n" not in self._text:
            data = self.socket.recv(1)
            assert data, f"closed after {self._text!r}"
            self._text += data
        line, _, self._text = self._text.partition(b"\n")
        return line.decode()

    def say(self, line: str) -> None:
        self.socket.sendall(line.encode() + b"\n")

    def authenticate(self, **overrides: object) -> str:
        """Answer the challenge; return the gateway's verdict."""
        assert self.line().startswith("lsg_version=")
        challenge = self.line().removeprefix("cram=")
        digest = hashlib.sha256(f"{challenge}|{self.key}".encode()).hexdigest()
        fields = {
            "auth": f"{digest}-{self.key[-5:]}",
            "dataset": "GLBX.MDP3",
            "encoding": "dbn",
            "ts_out": 0,
            "compression": "zstd" if self.zstd else "none",
            "heartbeat_interval_s": self.heartbeat,
            "client": "test",
        } | overrides
        self.say("|".join(f"{name}={value}" for name, value in fields.items()))
        return self.line()

    def subscribe(self, symbols: str, stype: str = "parent", start: int | None = None, **more: object) -> None:
        fields: dict[str, object] = {"schema": "trades", "stype_in": stype, "symbols": symbols}
        fields |= {} if start is None else {"start": start}
        fields |= {"snapshot": 0, "id": 0, "is_last": 1} | more
        self.say("|".join(f"{name}={value}" for name, value in fields.items()))

    def start(self) -> None:
        self.say("start_session=0")

    def open(self, symbols: str = "ES.FUT", stype: str = "parent", start: int | None = None) -> Self:
        """Do all that it takes to get records."""
        assert self.authenticate().startswith("success=1")
        self.subscribe(symbols, stype, start)
        self.start()
        return self

    def read(self) -> bool:
        """Read once; return whether the gateway has more to say."""
        data = self.socket.recv(1 << 20)
        self.records += self._decoder.write_and_decode(data)
        return bool(data)

    def read_until(self, done: Callable[["LsgClient"], object]) -> Self:
        while not done(self):
            assert self.read(), f"closed after {len(self.records)} records, {self.records[-1:]}"
        return self

    def read_all(self) -> Self:
        while self.read():
            pass
        return self

    def of(self, kind: type) -> list[Any]:
        return [record for record in self.records if isinstance(record, kind)]

    @property
    def trades(self) -> list[Any]:
        return self.of(dbn.TradeMsg)

    def system(self, code: str) -> list[Any]:
        return [message for message in self.of(dbn.SystemMsg) if str(message.code) == code]

    @property
    def beats(self) -> list[int]:
        return [message.ts_event for message in self.system("heartbeat")]


def wire(records: list[Any]) -> bytes:
    return b"".join(bytes(record) for record in records)
