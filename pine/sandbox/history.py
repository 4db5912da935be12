"""Databento's Historical API over a tape: what the vendor's own client takes for the real one."""

import base64
import binascii
import json
import socket
import ssl
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import zstandard
from attrs import define

from pine.bus.ending import stop_on_end
from pine.core.errors import PineError, SandboxError
from pine.core.times import isoformat
from pine.sandbox.events import print_event
from pine.sandbox.history_data import UNIT_PRICES, HistoryData, Selection, price_of
from pine.sandbox.history_faults import HistoryFault, HistoryFaults
from pine.sandbox.history_query import Refusal, parse_query, parse_resolution
from pine.sandbox.httpserver import REQUESTS_PATH, DroppingServer, HttpStandIn, JsonHandler
from pine.sandbox.tape import Tape

FAULTS_PATH: Final = "/_sandbox/faults"
API: Final = "/v0/"
SILENCE_S: Final = 300.0

_CHUNK: Final = 1 << 16
_BLOCK: Final = 1 << 13
_REFUSALS: Final[Mapping[str, tuple[str, str]]] = {
    "401": ("auth_authentication_failed", "Authentication failed."),
    "402": ("account_insufficient_funds", "There are not enough funds in the account."),
    "403": ("license_not_found_unauthorized", "A license is required to access this data."),
    "422": ("validation_failed", "The sandbox was told to answer 422."),
    "429": ("rate_limit_exceeded", "Too many requests."),
    "500": ("internal_server_error", "An unexpected error occurred."),
    "503": ("service_unavailable", "The service is unavailable."),
    "504": ("gateway_timeout", "The remote gateway timed out."),
}


@define
class Asked:
    """One request, and what became of it; `status` is ``None`` without an answer."""

    endpoint: str
    fields: dict[str, str]
    status: int | None = None
    records: int = 0
    bytes: int = 0
    cost: float = 0.0
    fault: str | None = None


class HistoryServer(HttpStandIn):
    """The Historical API on a thread of its own, over TLS with a certificate of its own making.

    Parameters
    ----------
    data
        What it has to offer.
    cert_dir
        Folder for ``ca.pem``, the authority that clients must trust (``REQUESTS_CA_BUNDLE``).
    host, port
        Where to listen; port 0 takes a free one.
    key
        The only API key to accept, ``None`` for any.
    out
        File to which every request is appended as a JSON line, with what it cost.
    faults
        What goes wrong, each with one request.
    """

    name = "history"

    def __init__(
        self,
        data: HistoryData,
        cert_dir: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        key: str | None = None,
        out: Path | None = None,
        faults: Sequence[HistoryFault] = (),
    ) -> None:
        super().__init__(host, port, out)
        self.data = data
        self.ca = cert_dir / "ca.pem"
        self.key = key
        self.faults = HistoryFaults(faults)

    def _make_server(self, address: tuple[str, int]) -> DroppingServer:
        return _Server(self, address, _make_certificate(address[0], self.ca))

    @property
    def gateway(self) -> str:
        """What to give the client as ``gateway``."""
        return f"https://{self._host}:{self.port}"

    def record(self, asked: Asked) -> None:
        """Keep a request: endpoint, fields, status, records, bytes, cost, fault."""
        names = ("endpoint", "fields", "status", "records", "bytes", "cost", "fault")
        self.keep({name: getattr(asked, name) for name in names})


def _make_certificate(host: str, ca_file: Path) -> ssl.SSLContext:
    import trustme

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host, "localhost").configure_cert(context)
    ca_file.parent.mkdir(parents=True, exist_ok=True)
    authority.cert_pem.write_to_path(str(ca_file))
    return context


class _Server(DroppingServer):
    def __init__(self, history: HistoryServer, address: tuple[str, int], context: ssl.SSLContext) -> None:
        self.history = history
        self._context = context
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; its thread shakes hands, so that a slow client holds up nobody."""
        connection, address = super().get_request()
        return self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address


class _Handler(JsonHandler):
    server_version = "DatabentoSandbox"

    @property
    def history(self) -> HistoryServer:
        return cast("_Server", self.server).history

    def get(self) -> None:
        url = urlsplit(self.path)
        if url.path == REQUESTS_PATH:
            self.answer(200, self.history.requests)
        else:
            self._serve(url.path, dict(parse_qsl(url.query)))

    def post(self) -> None:
        body = self.read_body()
        if body is None:
            self.close_connection = True
            self.answer(411, {"detail": "Expected a Content-Length"})
        elif self.path == FAULTS_PATH:
            self._plan(body)
        else:
            self._serve(self.path, dict(parse_qsl(body.decode("utf-8", "replace"))))

    def _plan(self, body: bytes) -> None:
        try:
            raw = json.loads(body)
            if not isinstance(raw, list) or not all(isinstance(text, str) for text in raw):
                raise SandboxError("faults: expected a JSON list of MANNER[:N][@ENDPOINT]")
            self.history.faults.plan([HistoryFault.parse(text) for text in raw])
        except (ValueError, PineError) as error:
            self.answer(400, {"success": False, "message": str(error)})
        else:
            self.answer(200, {"success": True})

    def _serve(self, path: str, fields: dict[str, str]) -> None:
        asked = Asked(path.removeprefix(API), fields)
        fault = self.history.faults.take(asked.endpoint) if path.startswith(API) else None
        try:
            self._authorize()
            if fault is not None:
                asked.fault = fault.manner
                if not self._obstruct(asked, fault):
                    return
            self._reply(asked, fault)
        except Refusal as refusal:
            self._refuse(asked, refusal)

    def _authorize(self) -> None:
        try:
            text = base64.b64decode(self.headers.get("authorization", "").removeprefix("Basic ")).decode()
        except (binascii.Error, UnicodeDecodeError):
            text = ""
        key = text.partition(":")[0]
        if not key or self.history.key not in (None, key):
            raise Refusal(401, *_REFUSALS["401"])

    def _obstruct(self, asked: Asked, fault: HistoryFault) -> bool:
        """Let a fault take effect that precedes any answer; return whether there is to be one."""
        if fault.manner in _REFUSALS:
            after = {"Retry-After": str(1 if fault.amount is None else fault.amount)} if fault.manner == "429" else {}
            self._refuse(asked, Refusal(int(fault.manner), *_REFUSALS[fault.manner]), after)
            return False
        if fault.manner in ("timeout", "hangup"):
            self.history.record(asked)
            self.close_connection = True
            if fault.manner == "timeout":
                self.history.stopping.wait(SILENCE_S if fault.amount is None else fault.amount)
            return False
        return True

    def _refuse(self, asked: Asked, refusal: Refusal, headers: Mapping[str, str] | None = None) -> None:
        asked.status = refusal.status
        self.history.record(asked)
        self.answer(refusal.status, refusal.body, headers)

    def _reply(self, asked: Asked, fault: HistoryFault | None) -> None:
        if asked.endpoint == "timeseries.get_range":
            self._send_range(asked, fault)
            return
        content = self._facts(asked.endpoint, asked.fields)
        asked.status = 200
        self.history.record(asked)
        self.answer(200, content)

    def _facts(self, endpoint: str, fields: Mapping[str, str]) -> object:
        """Answer everything but data."""
        data = self.history.data
        if endpoint in ("metadata.get_dataset_range", "metadata.list_schemas", "metadata.list_unit_prices"):
            data.check_dataset(fields.get("dataset", ""))
        if endpoint == "metadata.get_dataset_range":
            ranges = {schema: _range(*data.available(schema)) for schema in data.schemas}
            return {**_range(*data.available()), "schema": ranges}
        if endpoint == "metadata.list_schemas":
            return list(data.schemas)
        if endpoint == "metadata.list_datasets":
            return [data.dataset]
        if endpoint == "metadata.list_unit_prices":
            return [{"mode": "historical-streaming", "unit_prices": {s: UNIT_PRICES[s] for s in data.schemas}}]
        if endpoint == "metadata.get_record_count":
            return data.count(parse_query(fields))
        if endpoint == "metadata.get_billable_size":
            return data.size(parse_query(fields))
        if endpoint == "metadata.get_cost":
            return data.cost(parse_query(fields))
        if endpoint == "symbology.resolve":
            return data.resolve(parse_resolution(fields))
        raise Refusal(404, "not_found", f"The sandbox has no endpoint {endpoint}")

    def _send_range(self, asked: Asked, fault: HistoryFault | None) -> None:
        selection = self.history.data.select(query := parse_query(asked.fields))
        asked.status = 206 if selection.not_found else 200
        records = selection.records
        if fault is not None and fault.manner == "short":
            records = records[: max(len(records) - (fault.amount or 1), 0)]
        asked.records, asked.bytes = len(records), records.nbytes
        asked.cost = price_of(query.schema, records.nbytes)
        self.history.record(asked)
        body = _compress(selection.header + np.ascontiguousarray(records).tobytes())
        self._send_body(asked.status, selection, body, fault)

    def _send_body(self, status: int, selection: Selection, body: bytes, fault: HistoryFault | None) -> None:
        manner = fault.manner if fault else ""
        sent = body
        if fault is not None and manner in ("cut", "close"):
            sent = body[: len(body) // 2 if fault.amount is None else fault.amount]
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream")
        if selection.not_found:
            warning = f"Warning: The symbols {', '.join(selection.not_found)} did not resolve."
            self.send_header("X-Warning", json.dumps([warning]))
        if manner == "close":
            self.send_header("Connection", "close")  # without a length, the end of the connection is the body's
            self.end_headers()
            self.wfile.write(sent)
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for start in range(0, len(sent), _CHUNK):
            chunk = sent[start : start + _CHUNK]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        if manner == "cut":
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")


def _compress(data: bytes) -> bytes:
    """Compress as a server does that sends while it reads: one frame, but what was sent can be read at once."""
    frame = zstandard.ZstdCompressor(level=1).compressobj()
    parts = []
    for start in range(0, len(data), _BLOCK):
        parts += [frame.compress(data[start : start + _BLOCK]), frame.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)]
    return b"".join([*parts, frame.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH)])


def _range(begin: int, end: int) -> dict[str, str]:
    return {"start": _nanoseconds(begin), "end": _nanoseconds(end)}


def _nanoseconds(ts: int) -> str:
    """Return a time as the vendor writes it, with nine decimals and a Z."""
    return f"{isoformat(ts - ts % 1_000_000_000)[:19]}.{ts % 1_000_000_000:09d}Z"


def run_history(
    tapes: Sequence[Path],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    cert_dir: Path | None = None,
    key: str | None = None,
    out: Path | None = None,
    until: int | None = None,
    faults: Sequence[HistoryFault] = (),
) -> int:
    """Serve DBN files until SIGINT or SIGTERM, telling port and certificate as a JSON line on standard output.

    Parameters
    ----------
    tapes
        DBN files, merged by time.
    host, port, key, out, faults
        As for `HistoryServer`.
    cert_dir
        Folder for the certificate of the authority; a temporary one if left out.
    until
        As for `HistoryData`.

    Returns
    -------
    int
        Exit code, 0.

    Raises
    ------
    DataError
        If a file is no complete DBN file, or none has trades.
    SandboxError
        If the port is taken or a file cannot be written.
    """
    stopped = stop_on_end()
    data = HistoryData(Tape.load(tapes), until=until)
    with tempfile.TemporaryDirectory(prefix="pine-history-") as folder:
        certificates = Path(folder) if cert_dir is None else cert_dir.absolute()
        with HistoryServer(data, certificates, host=host, port=port, key=key, out=out, faults=faults) as server:
            begin, end = data.available()
            facts = {"records": data.records, "start": isoformat(begin), "end": isoformat(end)}
            print_event("listening", {"port": server.port, "ca": str(server.ca), **facts})
            stopped.wait()
    return 0
