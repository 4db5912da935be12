"""Minutes of lead contracts from Databento Historical, by the vendor's own client against the stand-in."""

import logging
import socket
import traceback
from pathlib import Path
from typing import Any

import certifi
import pytest

from pine.core.bar import Bar
from pine.core.config import Secret
from pine.core.errors import HistoryError, KeyRefused, PineError, SecretMissing, TooDear, Unresolved
from pine.core.period import SessionRule, session, session_begin
from pine.core.timeframe import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND
from pine.core.times import isoformat, parse_time
from pine.history.historical import LOOK_BACK, HistoricalSource
from pine.history.leads import look_back
from pine.history.pieces import Piece, cover
from pine.history.vendor import Patience
from pine.hub.lead import choose_lead
from pine.sandbox.history import HistoryServer
from pine.sandbox.history_query import parse_query

from .conftest import KEY, HubBars, Serve, configured, source

RULE = SessionRule(group="equity")
TUESDAY = parse_time("2024-03-05T14:00")
WEDNESDAY = parse_time("2024-03-06T14:00")
FINAL = parse_time("2024-03-14T20:00")


def between(hub: HubBars, begin: int, end: int) -> list[bytes]:
    return [bar.to_json() for bar in hub.bars if begin <= bar.start < end]


def payloads(bars: tuple[Bar, ...]) -> list[bytes]:
    return [bar.to_json() for bar in bars]


def bought(server: HistoryServer) -> list[dict[str, Any]]:
    return [request for request in server.requests if request["endpoint"] == "timeseries.get_range"]


def test_the_market_has_a_roll(hub: HubBars) -> None:
    assert len({contract for _, contract in hub.leads}) == 2


def test_known_leads_give_the_hubs_bars_bit_for_bit(serve: Serve, hub: HubBars) -> None:
    server = serve()
    found = source(server.gateway).minutes("ES", TUESDAY, FINAL, hub.leads)
    assert payloads(found.bars) == between(hub, TUESDAY, FINAL)
    assert (found.begin, found.end) == (TUESDAY, FINAL)
    assert len({bar.contract_symbol for bar in found.bars}) == 2
    assert found.leads == {start: lead for start, lead in hub.leads if start < FINAL and start > TUESDAY - NS_PER_DAY}


def test_leads_decided_by_volume_give_the_hubs_bars_over_a_roll(serve: Serve, hub: HubBars) -> None:
    server = serve()
    found = source(server.gateway).minutes("ES", WEDNESDAY, FINAL)
    assert payloads(found.bars) == between(hub, WEDNESDAY, FINAL)
    assert found.volumes
    assert {request["fields"]["schema"] for request in bought(server)} == {"ohlcv-1h", "ohlcv-1m"}


def test_leads_that_are_known_in_part_are_completed(serve: Serve, hub: HubBars) -> None:
    found = source(serve().gateway).minutes("ES", TUESDAY, FINAL, hub.leads[:2])
    assert payloads(found.bars) == between(hub, TUESDAY, FINAL)


def test_where_the_data_begins_the_most_traded_contract_leads(serve: Serve, hub: HubBars) -> None:
    begin = parse_time("2024-03-03T23:00")
    found = source(serve().gateway).minutes("ES", begin, TUESDAY)
    assert payloads(found.bars) == between(hub, begin, TUESDAY)


@pytest.mark.parametrize("schema", ["ohlcv-1m", "ohlcv-1s", "trades", "mbp-1"])
def test_any_schema_gives_the_same_bars(serve: Serve, hub: HubBars, schema: str) -> None:
    server = serve(schemas=(schema,))
    end = TUESDAY + 2 * NS_PER_DAY + 7 * NS_PER_MINUTE
    found = source(server.gateway).minutes("ES", TUESDAY, end)
    assert payloads(found.bars) == between(hub, TUESDAY, end)
    assert {request["fields"]["schema"] for request in bought(server)} == {schema}


def test_only_the_lead_contract_is_bought_by_the_minute(serve: Serve, hub: HubBars) -> None:
    server = serve()
    found = source(server.gateway).minutes("ES", TUESDAY, FINAL, hub.leads)
    assert {request["fields"]["schema"] for request in bought(server)} == {"ohlcv-1m"}
    assert {request["fields"]["stype_in"] for request in bought(server)} == {"raw_symbol"}
    assert found.cost == pytest.approx(sum(request["cost"] for request in bought(server)))


def test_hourly_volumes_and_lead_minutes_cost_less_than_the_parents_minutes(serve: Serve) -> None:
    server = serve()
    found = source(server.gateway).minutes("ES", WEDNESDAY, FINAL)
    fields = {"dataset": "GLBX.MDP3", "schema": "ohlcv-1m", "symbols": "ES.FUT", "stype_in": "parent"}
    first = look_back(session_begin(WEDNESDAY, RULE), LOOK_BACK, RULE)
    begin = max(first, server.data.available("ohlcv-1m")[0])
    parent = server.data.cost(parse_query(fields | {"start": str(begin), "end": str(FINAL)}))
    assert 0 < found.cost < parent


def test_a_question_is_cut_to_what_is_available_and_to_whole_minutes(serve: Serve, hub: HubBars) -> None:
    until = TUESDAY + NS_PER_HOUR + 3 * NS_PER_MINUTE + 20 * NS_PER_SECOND
    found = source(serve(until=until).gateway).minutes("ES", TUESDAY, FINAL, hub.leads)
    assert (found.begin, isoformat(found.end)) == (TUESDAY, "2024-03-05T15:03:00+00:00")
    assert payloads(found.bars) == between(hub, TUESDAY, found.end)


def test_nothing_available_covers_nothing(serve: Serve, hub: HubBars) -> None:
    server = serve()
    begin = parse_time("2025-01-01")
    found = source(server.gateway).minutes("ES", begin, begin + NS_PER_DAY)
    assert (found.begin, found.end, found.bars, bought(server)) == (begin, begin, (), [])


def test_a_weekend_has_no_bars(serve: Serve, hub: HubBars) -> None:
    server = serve()
    saturday = parse_time("2024-03-09")
    found = source(server.gateway).minutes("ES", saturday, saturday + NS_PER_DAY, hub.leads)
    assert (found.bars, found.end, found.cost) == ((), saturday + NS_PER_DAY, 0)


@pytest.mark.parametrize("times", [(TUESDAY + 1, FINAL), (TUESDAY, FINAL - 1), (FINAL, TUESDAY), (FINAL, FINAL)])
def test_only_whole_minutes_in_order_can_be_asked_for(times: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="expected whole minutes"):
        source("https://127.0.0.1:1").minutes("ES", *times)


@pytest.mark.parametrize(
    ("fault", "least"),
    [
        ("429:7@get_range", 7),
        ("429:9@get_dataset_range", 9),
        ("500@get_range", 1),
        ("503@get_cost", 1),
        ("504@get_record_count", 1),
        ("hangup@get_range", 1),
        ("timeout@get_cost", 1),
        ("cut:900", 1),
        ("cut:0", 1),
        ("close:900", 1),
        ("close:0", 1),
        ("close", 1),
        ("short", 1),
        ("short:100000", 1),
    ],
)
def test_what_fails_once_is_tried_again(
    serve: Serve, hub: HubBars, fault: str, least: float, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    waits: list[float] = []
    server = serve(fault)
    end = TUESDAY + 6 * NS_PER_HOUR
    found = source(server.gateway, waits, 0.5 if "timeout" in fault else 20).minutes("ES", TUESDAY, end, hub.leads)
    assert payloads(found.bars) == between(hub, TUESDAY, end)
    assert waits == [least]
    (told,) = [record for record in caplog.records if record.message == "historical tried again"]
    assert told.fields["reason"]  # type: ignore[attr-defined]


def test_back_off_doubles_with_jitter_up_to_its_limit(serve: Serve, hub: HubBars) -> None:
    waits: list[float] = []
    server = serve(*["500@get_range"] * 5)
    patience = Patience(most_s=6)
    asked = HistoricalSource(configured(server.gateway), choose_lead, patience, waits.append, lambda: 0.0)
    asked.minutes("ES", TUESDAY, TUESDAY + NS_PER_HOUR, hub.leads)
    assert waits == [0.5, 1, 2, 3, 3]


@pytest.mark.parametrize(
    ("fault", "kind", "found"),
    [
        ("401", KeyRefused, r"databento.api_key: Databento does not accept it \(401 .*asked was the range of GLBX"),
        ("402@get_cost", HistoryError, "price of ohlcv-1m of ESH4 .*: refused with 402 account_insufficient_funds"),
        ("403@get_range", HistoryError, "ohlcv-1m of ESH4 from 2024-03-05T14:00.* to .*: refused with 403 license"),
        ("422@get_range", HistoryError, "ohlcv-1m of ESH4 from 2024-03-05T14:00.* to .*: refused with 422"),
        ("429:9999", HistoryError, "found Retry-After 9999 s, expected at most 600 s"),
    ],
)
def test_what_will_not_get_better_is_asked_once(
    serve: Serve, hub: HubBars, fault: str, kind: type[Exception], found: str
) -> None:
    server = serve(fault)
    waits: list[float] = []
    with pytest.raises(kind, match=found):
        source(server.gateway, waits).minutes("ES", TUESDAY, TUESDAY + NS_PER_HOUR, hub.leads)
    assert waits == []
    assert server.requests[-1]["fault"] == fault.partition("@")[0].partition(":")[0]


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("429:2", r"gave up after 6 attempts, the last: 429 rate_limit_exceeded Too many requests"),
        ("500", r"the last: 500 internal_server_error"),
        ("504", r"the last: 504"),
        ("timeout", r"the last: no answer from https://127.0.0.1:\d+ within 0.2 s"),
        ("hangup", r"the last: no connection to https://127.0.0.1:\d+, or it broke"),
    ],
)
def test_what_keeps_failing_is_told_with_what_was_asked(serve: Serve, hub: HubBars, fault: str, found: str) -> None:
    server = serve(*[f"{fault}@get_range"] * 6)
    with pytest.raises(HistoryError, match=found) as error:
        source(server.gateway, timeout_s=0.2 if fault == "timeout" else 20).minutes(
            "ES", TUESDAY, TUESDAY + NS_PER_HOUR, hub.leads
        )
    assert "ohlcv-1m of ESH4 from 2024-03-05T14:00:00+00:00 to 2024-03-05T15:00:00+00:00" in str(error.value)


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("cut", "lastly Error streaming response"),
        ("close:0", "a body without a whole header"),
        ("close:100", "a body without a whole header"),
        ("close", "bytes that end before the compressed stream does"),
        ("short:7", r"lastly \d+ records of \d+, the last of 2024-03-06T"),
    ],
)
def test_data_that_keeps_coming_incomplete_is_never_used(serve: Serve, hub: HubBars, fault: str, found: str) -> None:
    server = serve(*[fault] * 3)
    with pytest.raises(HistoryError, match=found) as error:
        source(server.gateway).minutes("ES", TUESDAY, WEDNESDAY, hub.leads)
    assert "found incomplete data 3 times" in str(error.value)
    assert len(bought(server)) == 3


def test_no_network_is_told_in_a_few_words_and_once(hub: HubBars, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    waits: list[float] = []
    found = rf"gave up after 6 attempts, the last: no connection to \S*:{port}, or it broke \(connection refused\)$"
    with pytest.raises(HistoryError, match=found):
        source(f"https://127.0.0.1:{port}", waits).minutes("ES", TUESDAY, FINAL, hub.leads)
    assert waits == [1, 2, 4, 8, 16]
    assert [r.getMessage() for r in caplog.records if r.levelname == "WARNING"] == ["historical tried again"]


def test_untrusted_certificate_is_told(
    serve: Serve, hub: HubBars, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = serve()
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(HistoryError, match=r"of https://127.0.0.1:\d+ is not trusted .*; set REQUESTS_CA_BUNDLE to"):
        source(server.gateway).minutes("ES", TUESDAY, FINAL, hub.leads)
    other = tmp_path / "other.pem"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    with pytest.raises(HistoryError, match=rf"other.pem; REQUESTS_CA_BUNDLE names {other}, expected the file"):
        source(server.gateway).minutes("ES", TUESDAY, FINAL, hub.leads)
    other.write_bytes(Path(certifi.where()).read_bytes())
    with pytest.raises(HistoryError, match=rf"is not trusted \(.{{9,60}}\); REQUESTS_CA_BUNDLE names {other}"):
        source(server.gateway).minutes("ES", TUESDAY, FINAL, hub.leads)


def test_symbol_that_the_vendor_does_not_know_is_told(serve: Serve) -> None:
    with pytest.raises(Unresolved, match=r"ohlcv-1h of GC.FUT from .* refused with 422 symbology_invalid_request"):
        source(serve().gateway).minutes("GC", TUESDAY, FINAL)


def test_question_that_is_too_dear_is_not_asked(serve: Serve, hub: HubBars) -> None:
    server = serve()
    with pytest.raises(TooDear) as error:
        source(server.gateway, max_cost_usd=0.0001).minutes("ES", TUESDAY, FINAL, hub.leads)
    assert "databento.max_cost_usd: found a price of $0.0" in str(error.value)
    assert "expected at most $0.0001" in str(error.value)
    assert bought(server) == []


def test_buying_again_counts_too(serve: Serve, hub: HubBars) -> None:
    server = serve("short")
    price = source(server.gateway)
    one = TUESDAY + 4 * NS_PER_HOUR
    fields = {"dataset": "GLBX.MDP3", "schema": "ohlcv-1m", "symbols": "ESH4", "stype_in": "raw_symbol"}
    cost = server.data.cost(parse_query(fields | {"start": str(TUESDAY), "end": str(one)}))
    price = source(server.gateway, max_cost_usd=1.5 * cost)
    with pytest.raises(TooDear, match=r"\$0\.\d+ are spent on this question already"):
        price.minutes("ES", TUESDAY, one, hub.leads)
    assert len(bought(server)) == 1


def test_what_was_paid_for_before_a_failure_is_not_bought_again(serve: Serve, hub: HubBars) -> None:
    server = serve("sound@get_range", "403@get_range")
    asked = source(server.gateway)
    with pytest.raises(HistoryError, match=r"of ESM4 .* refused with 403"):
        asked.minutes("ES", TUESDAY, FINAL, hub.leads)
    found = asked.minutes("ES", TUESDAY, FINAL, hub.leads)
    assert payloads(found.bars) == between(hub, TUESDAY, FINAL)
    assert [request["fields"]["symbols"] for request in bought(server)] == ["ESH4", "ESM4", "ESM4"]
    assert len(asked.minutes("ES", TUESDAY, FINAL, hub.leads).bars) == len(found.bars)
    assert len(bought(server)) == 5


def test_prices_are_logged_before_anything_is_bought(
    serve: Serve, hub: HubBars, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    source(serve().gateway).minutes("ES", TUESDAY, TUESDAY + NS_PER_HOUR, hub.leads)
    told = [record for record in caplog.records if record.message.startswith("historical")]
    assert [record.message for record in told] == ["historical price", "historical bought", "historical minutes"]
    assert told[0].fields["cost_usd"] > 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("fault", ["401", "403", "500", "hangup", "cut", "sound"])
def test_the_key_is_shown_nowhere(serve: Serve, hub: HubBars, fault: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    asked = source(serve(*[fault] * 9).gateway)
    shown = ""
    try:
        asked.minutes("ES", TUESDAY, TUESDAY + NS_PER_HOUR, hub.leads)
    except PineError:
        shown = traceback.format_exc()  # with every cause and context that is not suppressed
        assert fault != "sound"
    shown += caplog.text + repr(asked) + repr(vars(asked)) + "".join(str(vars(record)) for record in caplog.records)
    assert KEY not in shown
    assert KEY[-10:] not in shown


def test_missing_and_impossible_keys_are_told(serve: Serve) -> None:
    gateway = serve().gateway
    with pytest.raises(SecretMissing, match="DATABENTO_API_KEY"):
        source(gateway, api_key=Secret(where="databento.api_key", variable="DATABENTO_API_KEY")).minutes(
            "ES", TUESDAY, FINAL
        )
    with pytest.raises(KeyRefused, match="characters that no key has"):
        source(gateway, api_key=Secret("db-…key")).minutes("ES", TUESDAY, FINAL)
    with pytest.raises(KeyRefused, match="blanks"):
        source(gateway, api_key=Secret("  ")).minutes("ES", TUESDAY, FINAL)


def test_key_that_is_not_the_accounts_is_refused(serve: Serve, hub: HubBars) -> None:
    server = serve(key="db-" + "x" * 29)
    with pytest.raises(KeyRefused, match="401 auth_authentication_failed Authentication failed"):
        source(server.gateway).minutes("ES", TUESDAY, FINAL, hub.leads)


def test_cover_takes_the_first_schema_that_has_a_minute() -> None:
    ranges = {"ohlcv-1h": (0, 3 * NS_PER_HOUR), "ohlcv-1m": (NS_PER_HOUR, 4 * NS_PER_HOUR + 90 * NS_PER_SECOND)}
    found = cover(("ohlcv-1h", "ohlcv-1m"), ranges, 30 * NS_PER_MINUTE, 6 * NS_PER_HOUR)
    assert found == [
        Piece("ohlcv-1h", NS_PER_HOUR, 3 * NS_PER_HOUR),
        Piece("ohlcv-1m", 3 * NS_PER_HOUR, 4 * NS_PER_HOUR + NS_PER_MINUTE),
    ]


def test_cover_ends_before_a_hole() -> None:
    ranges = {"ohlcv-1m": (0, NS_PER_HOUR), "trades": (2 * NS_PER_HOUR, 3 * NS_PER_HOUR)}
    assert cover(("ohlcv-1m", "trades"), ranges, 0, 3 * NS_PER_HOUR) == [Piece("ohlcv-1m", 0, NS_PER_HOUR)]
    assert cover(("ohlcv-1m",), ranges, NS_PER_HOUR, 3 * NS_PER_HOUR) == []


def test_sessions_of_the_market_are_as_the_tests_think(hub: HubBars) -> None:
    assert session_begin(TUESDAY, RULE) == session(TUESDAY, RULE).start == parse_time("2024-03-04T23:00")
