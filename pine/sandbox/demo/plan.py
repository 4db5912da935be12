"""The configuration that a demonstration runs with."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import orjson

from pine.core.contract import SymbolKind, classify, parse_contract
from pine.core.errors import ContractError, SandboxError
from pine.core.instruments import SPECS
from pine.core.times import to_datetime
from pine.strategies.models.card import card_path

MODELS: Final = Path(__file__).resolve().parents[3] / "models"
"""Where a clone of the repository has the models of the demonstration."""

GENERATED: Final[dict[str, list[str]]] = {"ibs_a": ["ES", "GC", "6E"], "ibs_b": ["6E", "CL", "ES"]}
"""Roots of the two strategies on a generated market: they overlap on purpose."""

_TEMPLATE: Final = """\
# Written by pine demo: two IBS strategies on a tape. Look at what it led to: pine bars ROOT -c THIS-FILE
# (pine status asks a server that runs: pine server start -c THIS-FILE)
data_dir: {data_dir}

databento:
  api_key: db-demo00000000000000000000000000
  gateway: 127.0.0.1:{gateway_port}

bus:
  url: {bus}
  fsync: {fsync}          # everysec: days pass in seconds here; what is lost in a power cut is a demonstration

hub:
  clock: tape              # the present is what the tape says

warm_up: off               # a tape has no history before it: workers start on what the streams hold

orders:
  entry_max_age_s: null    # a tape's orders are old by nature, and come faster than a real day's
  stale_after_s: null
  per_minute: null
  per_hour: null

{models}instruments:
{instruments}

strategies:
  ibs_a:                   # the user's rules
    type: ibs
    webhook: {webhook}/ibs_a
    starting_cash: 150000
    max_positions: 2
    daily_stop_loss: 2500
    model: {policy}
    instruments: [{ibs_a}]
  ibs_b:                   # the same rules on Chicago's clock with a near stop and target, so that each gets used
    type: ibs
    webhook: {webhook}/ibs_b
    starting_cash: 150000
    max_positions: 3
    daily_stop_loss: 2500
    model: {policy}
    params:
      clock: America/Chicago
      windows: ["00:00-15:00", "17:00-24:00"]
      entry_setting: none
      stop_percent: {near}
      target_percent: {near}
      bar_stop_bars: 4
    instruments: [{ibs_b}]
"""


def write_config(
    folder: Path,
    roots: dict[str, list[str]],
    gateway_port: int,
    webhook: str,
    *,
    near: float,
    fsync: str,
    models: Path | None = None,
    bus: str = "embedded",
) -> Path:
    """Write ``pine.yaml`` into a folder and return its path.

    Parameters
    ----------
    folder
        The demonstration's folder; data goes into ``data`` below it.
    roots
        Roots of ``ibs_a`` and ``ibs_b``.
    gateway_port, webhook
        Where the stand-ins listen.
    near
        Distance of the near stop and target in percent.
    fsync
        The server's policy. ``everysec`` may lose what it acknowledged when the server is killed while the disk is
        slow, so whoever kills it takes ``always``.
    models
        Folder of models without whose consent nothing is entered; nothing to enter without any.
    bus
        The server: a private one, or the URL of somebody else's.
    """
    everything = list(dict.fromkeys(root for listed in roots.values() for root in listed))
    path = folder / "pine.yaml"
    path.write_text(
        _TEMPLATE.format(
            data_dir="data",
            gateway_port=gateway_port,
            webhook=webhook,
            instruments="\n".join(f'  "{root}": {{}}' for root in everything),
            ibs_a=", ".join(f'"{root}"' for root in roots["ibs_a"]),
            ibs_b=", ".join(f'"{root}"' for root in roots["ibs_b"]),
            near=near,
            fsync=fsync,
            bus=bus,
            models="" if models is None else f"models: {orjson.dumps(str(models)).decode()}\n\n",
            policy="none" if models is None else "required",
        )
    )
    return path


def models_of_clone() -> Path | None:
    """Return the repository's models if it has one for every root of the generated market; else nothing."""
    places = [card_path(MODELS, strategy, root) for strategy, roots in GENERATED.items() for root in roots]
    return MODELS if all(place.exists() for place in places) else None


def roots_of(tapes: Sequence[Path]) -> dict[str, list[str]]:
    """Return the roots that DBN files hold and pine knows, for both strategies.

    Raises
    ------
    SandboxError
        If there is none.
    """
    from pine.sandbox.dbnfile import read_dbn

    found: dict[str, None] = {}
    for tape in tapes:
        for spans in read_dbn(tape).spans.values():
            for span in spans:
                if classify(span.symbol) is SymbolKind.OUTRIGHT:
                    with contextlib.suppress(ContractError):
                        found[parse_contract(span.symbol, to_datetime(max(span.start, 0)).date(), SPECS).root] = None
    if not found:
        raise SandboxError(f"{', '.join(map(str, tapes))}: found no outright of a root that pine knows")
    return {"ibs_a": sorted(found), "ibs_b": sorted(found, reverse=True)}
