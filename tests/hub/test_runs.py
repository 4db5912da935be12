"""What the socket brings is cut into runs of trades and everything else, in order, however it was cut into packets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapes import ESH4, at, trades

from pine.hub.runs import Runs
from pine.sandbox import messages

T = at("2024-03-05T14:00")
HEADER = messages.metadata("GLBX.MDP3", T)
TRADE = trades([(T, ESH4, 10, 1)]).tobytes()
OTHER = trades([(T + 1, ESH4, 11, 2)]).tobytes()
HEARTBEAT = messages.heartbeat(T)


def split(pieces: list[bytes]) -> list[tuple[bool, bytes]]:
    """Return what came out, trades as bytes again; neighbours of one kind joined."""
    runs, found = Runs(), []
    for piece in pieces:
        for part in runs.split(piece):
            kind = isinstance(part, np.ndarray)
            content = part.tobytes() if kind else part
            if found and found[-1][0] is kind:
                found[-1] = (kind, found[-1][1] + content)
            else:
                found.append((kind, content))
    return found


def test_runs_of_trades_and_other_records_come_in_their_order() -> None:
    stream = HEADER + HEARTBEAT + TRADE + OTHER + HEARTBEAT + HEARTBEAT + TRADE
    assert split([stream]) == [
        (False, HEADER + HEARTBEAT),
        (True, TRADE + OTHER),
        (False, HEARTBEAT + HEARTBEAT),
        (True, TRADE),
    ]


@pytest.mark.examples(40, long=400)
@given(st.lists(st.sampled_from([TRADE, OTHER, HEARTBEAT]), max_size=12), st.data())
def test_cuts_in_the_stream_make_no_difference(records: list[bytes], data: st.DataObject) -> None:
    stream = HEADER + b"".join(records)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert split(pieces) == split([stream])
    assert b"".join(content for _, content in split(pieces)) == stream


@pytest.mark.parametrize("junk", [bytes(64), b"\x01\x00" * 32])
def test_bytes_that_are_no_records_end_the_stream(junk: bytes) -> None:
    with pytest.raises(ValueError, match="expected at least"):
        split([HEADER + TRADE + junk])


def test_no_header_at_all_is_no_stream() -> None:
    with pytest.raises(ValueError, match="expected the header"):
        split([b"HTTP/1.1 400 Bad Request"])
