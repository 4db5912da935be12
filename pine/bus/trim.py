"""Cutting off a stream's oldest entries, with a last look inside the server at who needs them."""

from collections.abc import Iterable
from importlib import resources
from typing import Final

from attrs import frozen

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.cursors import Id

_SCRIPT: Final = resources.files("pine.bus").joinpath("trim.lua").read_text(encoding="utf-8")


@frozen
class Cut:
    """What became of a cut: entries removed, or why none were."""

    removed: int = 0
    refused: str = ""


def cut_below(
    client: Client,
    stream: str,
    first: Id,
    *,
    counted: Iterable[str] = (),
    uncounted: Iterable[str] = (),
    absent: Iterable[str] = (),
) -> Cut:
    """Remove the entries of a stream below an id.

    Nothing is removed unless the archive and every group that counts have acknowledged all of it, and no group is new.

    Parameters
    ----------
    client
        Connection to the server.
    stream
        Key of the stream.
    first
        The first id that stays.
    counted, uncounted
        Groups that must have acknowledged what goes, beside the archive's; groups whose progress does not matter.
    absent
        Keys that must not exist, such as ledgers of strategies that have not begun: one that begins takes
        what is there as its own.
    """
    script = client.register_script(_SCRIPT)
    needing = {keys.ARCHIVE, *counted}
    names = [*needing, *(set(uncounted) - needing)]
    refused, answer = script(
        keys=[stream, *absent], args=[streams.entry_id(*first), keys.ARCHIVE, len(needing), *names]
    )
    return Cut(refused=answer.decode()) if refused else Cut(removed=int(answer))
