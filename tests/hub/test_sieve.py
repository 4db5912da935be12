"""A record that nobody can decode costs itself and nothing else."""

from collections import Counter

import databento_dbn as dbn
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapes import ESH4, at, trades

from pine.hub.sieve import Sieve
from pine.sandbox import messages

T = at("2024-03-05T14:00")
HEADER = messages.metadata("GLBX.MDP3", T)
TRADE = trades([(T, ESH4, 10, 1)]).tobytes()
HEARTBEAT = messages.heartbeat(T)
UNKNOWN = bytes([6, 0xEE]) + bytes(22)
BROKEN_TEXT = HEARTBEAT[:16] + b"\xff\xfe\xfd\xfc" * 20 + HEARTBEAT[96:]


def sift(pieces: list[bytes]) -> tuple[bytes, Counter[str]]:
    counts: Counter[str] = Counter()
    sieve = Sieve(counts)
    return b"".join(sieve.sift(piece) for piece in pieces), counts


def test_a_sound_stream_passes_unchanged() -> None:
    stream = HEADER + TRADE + HEARTBEAT + TRADE
    assert sift([stream]) == (stream, Counter())


def test_unknown_and_broken_records_are_left_out_and_counted() -> None:
    passed, counts = sift([HEADER + TRADE + UNKNOWN + TRADE + BROKEN_TEXT + HEARTBEAT])
    assert passed == HEADER + TRADE + TRADE + HEARTBEAT
    assert counts == {f"undecodable_record:{0xEE}": 1, f"undecodable_record:{HEARTBEAT[1]}": 1}


@given(st.lists(st.sampled_from([TRADE, HEARTBEAT, UNKNOWN, BROKEN_TEXT]), max_size=12), st.data())
def test_cuts_in_the_stream_make_no_difference(records: list[bytes], data: st.DataObject) -> None:
    stream = HEADER + b"".join(records)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert sift(pieces) == sift([stream])
    assert sift(pieces)[0] == HEADER + b"".join(record for record in records if record in (TRADE, HEARTBEAT))


def test_the_vendors_decoder_takes_what_passes() -> None:
    passed, _ = sift([HEADER + UNKNOWN + TRADE + BROKEN_TEXT + HEARTBEAT])
    records = dbn.DBNDecoder().write_and_decode(passed)
    assert [type(record).__name__ for record in records] == ["Metadata", "TradeMsg", "SystemMsg"]


@pytest.mark.parametrize("junk", [bytes(64), b"\x01\x00" * 32])
def test_bytes_that_are_no_records_end_the_connection(junk: bytes) -> None:
    with pytest.raises(ValueError, match="expected"):
        sift([HEADER + TRADE + junk])


def test_no_header_at_all_ends_the_connection() -> None:
    with pytest.raises(ValueError, match="expected the header"):
        sift([b"HTTP/1.1 400 Bad Request"])
