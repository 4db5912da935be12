"""What can be seen on this machine alone, at once: secrets, addresses, folders, disk, switches."""

import logging
import os
import shutil
import stat
import warnings
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pine.core.config import Config, Secret
from pine.core.config.document import variables
from pine.core.config.secret import is_databento_key
from pine.core.config.webhook import LOOPBACK, host_of, leads_here, mistake_in
from pine.core.errors import SecretMissing
from pine.ops.preflight.looks import Said, ok, skipped, warning, wrong
from pine.orders.gates import KillSwitch

GB: Final = 1_000_000_000
SCARCE: Final = 5 * GB
FULL: Final = 1 * GB

BROKER: Final = "traderspost.io"


def api_key(config: Config) -> Iterator[Said]:
    """Look whether the vendor's key is there, and can be one; a stand-in for the vendor takes any."""
    settings = config.databento
    key, source = settings.api_key.reveal(), _source(config, settings.api_key)
    if settings.gateway or settings.historical_gateway or is_databento_key(key):
        yield ok(f"set{source}")
        return
    unfit = warning if key.startswith("db-") else wrong
    yield unfit(
        f"set{source}, and cannot be a key of Databento's: found {len(key)} characters (not shown), expected db- and "
        "29 letters and digits; copy it again from databento.com/portal/keys"
    )


def webhook_secret(config: Config, strategy: str) -> Iterator[Said]:
    """Look whether a strategy's webhook is there, if one is asked for."""
    setting = config.strategies[strategy]
    if not setting.webhook:
        yield skipped("none: on paper only")
    elif setting.webhook.variable is not None and not setting.enabled:
        yield skipped(f"{setting.webhook.variable} is not set; the strategy is disabled")
    else:
        setting.webhook.reveal()
        yield ok(f"set{_source(config, setting.webhook)}")


def dotenv_mode(config: Config) -> Iterator[Said]:
    """Look who can read the file of secrets."""
    path = config.path.with_name(".env")
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        yield skipped(f"{path}: none; secrets come from the environment")
        return
    if mode & 0o077:
        yield warning(f"{path}: others can read or write it (mode {mode:o}); chmod 600 {path}")
    else:
        yield ok(f"{path}: its owner's alone")


def webhook_shape(config: Config, strategy: str) -> Iterator[Said]:
    """Look whether orders can be posted to a webhook's address; nothing is sent to it."""
    setting = config.strategies[strategy]
    webhook = setting.webhook
    if not webhook or webhook.variable is not None:
        return  # told as a secret already
    if told := mistake_in(webhook):
        unfit = wrong if setting.enabled else warning
        yield unfit(f"strategies.{strategy}.webhook: {told}")
    elif leads_here(webhook):
        yield ok(f"leads to this machine ({host_of(webhook)})")
    elif not host_of(webhook).endswith(BROKER):
        yield warning(f"is at {host_of(webhook)}, which is not {BROKER}; see that it takes TradersPost's messages")
    else:
        yield ok(f"has the shape of one, at {host_of(webhook)}")


def webhooks_apart(config: Config, strategies: tuple[str, ...]) -> Iterator[Said]:
    """Look whether any of these strategies shares its webhook with an enabled one: a position of both would mix."""
    users: dict[str, list[str]] = defaultdict(list)
    for name, setting in config.strategies.items():
        if setting.enabled and setting.webhook and setting.webhook.variable is None:
            users[setting.webhook.reveal()].append(name)
    shared = [names for names in users.values() if len(names) > 1 and set(names) & set(strategies)]
    for names in shared:
        yield wrong(f"{' and '.join(names)} post to the same one; give each strategy a webhook of its own")
    if not shared:
        yield ok("each strategy has its own") if users else skipped("there is none")


def disk(config: Config) -> Iterator[Said]:
    """Look how much room there is where pine writes."""
    places = {"data_dir": config.data_dir}
    if "://" not in config.archive_location:
        places["archive"] = _plain(config.archive_location)
    told: set[int] = set()
    for name, folder in places.items():
        there = _existing(folder)
        if (device := there.stat().st_dev) in told:
            continue  # the same disk
        told.add(device)
        free = shutil.disk_usage(there).free
        text = f"{free / GB:.1f} GB free at {folder}"
        if free < FULL:
            yield wrong(f"{text}, expected at least {FULL / GB:g}; make room, or move {name}", f"{name} disk")
        elif free < SCARCE:
            yield warning(f"{text}; below {FULL / GB:g} nothing starts; make room, or move {name}", f"{name} disk")
        else:
            yield ok(text, f"{name} disk")


def folders(config: Config) -> Iterator[Said]:
    """Look whether pine may write where it has to."""
    yield _writable("data_dir", config.data_dir)
    if "://" in config.archive_location:
        yield skipped("is elsewhere; pine archive verify looks at it", "archive.location")
    elif not (place := _plain(config.archive_location)).is_relative_to(_plain(config.data_dir)):
        yield _writable("archive.location", place)
    if config.heartbeats is not None:
        yield _writable("heartbeats", config.path.parent / Path(config.heartbeats).expanduser())


def kill_switch(config: Config) -> Iterator[Said]:
    """Look whether the desk's emergency stop is on."""
    reason = KillSwitch(config.path.with_name(".env")).reason()
    if reason is None:
        yield ok("off")
    else:
        yield warning(f"{reason.removeprefix('kill switch: ')}: entries are blocked, exits go; take it out to trade")


def dashboard(config: Config) -> Iterator[Said]:
    """Look whether a page that others can reach asks who they are."""
    setting = config.dashboard
    where = f"{setting.host}:{setting.port}"
    if setting.host.strip("[]") in LOOPBACK:
        yield ok(f"{where}: this machine only")
    elif not setting.token:
        yield wrong(
            f"dashboard.host: found {setting.host}, which others can reach, and no dashboard.token; set one, or "
            "listen on 127.0.0.1"
        )
    else:
        setting.token.reveal()
        yield ok(f"{where}: others can reach it, with the token")


def alerts(config: Config) -> Iterator[Said]:
    """Look whether each address of alerts can be understood; nothing is sent."""
    if not config.alerts.urls:
        yield skipped("alerts.urls: none; nobody is told when something happens")
        return
    for n, url in enumerate(config.alerts.urls):
        name = f"alerts.urls.{n}"
        try:
            address = url.reveal()
        except SecretMissing as error:
            yield wrong(str(error), name)
            continue
        scheme = address.partition("://")[0] if "://" in address else "no scheme"
        if not understood(address):
            yield wrong(
                f"found an address of {scheme} (not shown) that apprise does not understand; correct its variable",
                name,
            )
        else:
            yield ok(f"{scheme}://", name)


def understood(address: str) -> bool:
    """Tell whether apprise knows what kind of address this is; nothing is sent."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it uses a module that Python has deprecated
        import apprise

        log = logging.getLogger("apprise")
        before, log.disabled = log.disabled, True  # it would show the address
        try:
            return apprise.Apprise.instantiate(address, suppress_exceptions=True) is not None
        finally:
            log.disabled = before


def _source(config: Config, secret: Secret) -> str:
    """Return from which variable a secret comes, and where that is set."""
    try:
        named = variables(config.path.read_text(encoding="utf-8"), secret.where)
    except (OSError, UnicodeDecodeError):
        return ""
    if not named:
        return f", in {config.path.name} itself; a variable in .env is safer"
    places = ["the environment" if os.environ.get(name) else ".env" for name in named]
    return f" by {', '.join(f'{name} in {place}' for name, place in zip(named, places, strict=True))}"


def _plain(path: Path | str) -> Path:
    """Return a path without ``..`` in it."""
    return Path(os.path.normpath(path))


def _writable(name: str, folder: Path) -> Said:
    there = _existing(folder)
    if not there.is_dir():
        return wrong(f"{name}: found {there}, which is no folder, in the way of {folder}; name another place", name)
    if not os.access(there, os.W_OK | os.X_OK):
        return wrong(
            f"{name}: nothing can be written in {there}; change its owner or mode, or name another place", name
        )
    return ok(str(folder) if there == folder else f"{folder}, which is not there yet", name)


def _existing(path: Path) -> Path:
    """Return the path, or the nearest above it that is there."""
    while not path.exists():
        path = path.parent
    return path
