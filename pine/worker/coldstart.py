"""The first start of a strategy: the history that it is fed, or a refusal that says what is missing."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import redis
from attrs import define, field, frozen

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.core.bar import Bar, fold
from pine.core.calendar import scheduled_hours
from pine.core.config import Config, WarmUpConfig
from pine.core.errors import (
    ArchiveDiffers,
    ArchiveError,
    HistoryError,
    KeyRefused,
    PineError,
    SecretMissing,
    SourcesDiffer,
    WarmUpMissing,
)
from pine.core.log import get_logger
from pine.core.period import SessionRule, period, session_begin
from pine.core.timeframe import NS_PER_MS, Timeframe
from pine.core.times import isoformat
from pine.feeds.warmup import Question, WarmUp, questions
from pine.history.answer import Answer, History
from pine.history.manifest import Interval, clipped, common, joined

if TYPE_CHECKING:
    from pine.history.backfill import Backfill
    from pine.history.historical import Fetched, HistoricalSource

BEAT_SECONDS: Final = 0.25
ENDING_SECONDS: Final = 5.0
"""How long an answer under way is waited for when the worker is to end."""
TOLD: Final = 3
VENDOR: Final = "Databento Historical"

log = get_logger(__name__)


@frozen
class Progress:
    """How far a warm-up has come.

    Attributes
    ----------
    what
        Symbol and timeframe that are being asked for; empty at the end.
    done, of
        Questions answered, and all of them.
    bars
        Bars so far.
    """

    what: str
    done: int
    of: int
    bars: int


class _Ended(Exception):
    """The worker is to end."""


@define(eq=False)
class ColdStart:
    """Gathers what a new strategy is fed.

    Parameters
    ----------
    config, strategy
        What to start.
    client
        Connection to the stream server.
    timeframes, settings
        What the strategy reads, and how far back; whether to buy.
    stop
        Ends it.
    on_beat
        Called some times a second with what is being done, for the heartbeat.
    on_progress
        Told how far the history has come, by this thread; without it each answer is a line in the log.
    """

    config: Config
    strategy: str
    client: Client
    timeframes: Sequence[Timeframe]
    settings: WarmUpConfig
    stop: threading.Event
    on_beat: Callable[[str], None]
    on_progress: Callable[[Progress], None] | None = None
    _at: Progress = field(factory=lambda: Progress("", 0, 0, 0))

    @property
    def rules(self) -> Mapping[str, SessionRule]:
        """Session rule of each symbol, in the strategy's order."""
        return self.config.rules_of(self.strategy)

    def run(self) -> WarmUp | None:
        """Return the history up to the newest step; nothing if it is time to stop.

        Waits for the first step if there is none yet. Nothing is written but what is bought, into the archive.

        Raises
        ------
        WarmUpMissing
            If some of it cannot be had: it is named, with what each source covers and what can be done.
        """
        until = self._newest_step()
        if until is None:
            return None
        asked = questions(self.rules, self.timeframes, self.settings, until)
        fields = {"until": isoformat(until), "questions": len(asked), "from": isoformat(min(q.begin for q in asked))}
        log.info("warming up", **fields)
        found: list[tuple[Bar, ...]] = []
        errors: list[BaseException] = []

        def work() -> None:
            try:
                found.append(self._ask(asked))
            except BaseException as error:  # noqa: BLE001  # raised again by the thread that waits
                errors.append(error)

        asking = threading.Thread(target=work, name="warm-up", daemon=True)
        asking.start()
        self._attend(asking)
        if self.stop.is_set() or any(isinstance(error, _Ended) for error in errors):
            return None
        if errors:
            raise errors[0]
        log.info("history gathered", bars=len(found[0]))
        return WarmUp(until, found[0])

    def _newest_step(self) -> int | None:
        """Return the newest step in ns, as soon as there is one."""
        told = False
        while not self.stop.is_set():
            newest = streams.last_id(self.client, keys.CLOCK)
            if newest is not None:
                return streams.ms_of(newest) * NS_PER_MS
            if not told:
                log.info("waiting for the first step of a hub", strategy=self.strategy)
                told = True
            self.on_beat("waiting for the first step")
            self.stop.wait(BEAT_SECONDS)
        return None

    def _attend(self, asking: threading.Thread) -> None:
        """Show signs of life until the answers are there, or it is time to stop."""
        shown = None
        while asking.is_alive() and not self.stop.is_set():
            self.on_beat("warming up")
            if self.on_progress is not None and self._at is not shown:
                shown = self._at
                self.on_progress(shown)
            asking.join(BEAT_SECONDS)
        if self.on_progress is not None:
            self.on_progress(Progress("", self._at.of, self._at.of, self._at.bars))
        asking.join(ENDING_SECONDS)

    def _ask(self, asked: Sequence[Question]) -> tuple[Bar, ...]:
        vendor, why_not = self._vendor()
        try:
            history = History.of(self.config, self.client, vendor)
        except ArchiveError as error:
            raise WarmUpMissing(f"warm-up of {self.strategy}: {error}\n{self._remedies()}") from error
        reasons = {symbol: why_not for symbol in self.rules if why_not}
        if vendor is not None:
            reasons = self._buy(history, asked)
        return self.gather(history, asked, reasons)

    def _buy(self, history: History, asked: Sequence[Question]) -> dict[str, str]:
        """Buy the minutes that all answers together lack, within one ceiling; return by root why some cannot be had."""
        from pine.history.backfill import Backfill
        from pine.history.purchases import HistoricalBars

        shop = history.historical
        assert isinstance(shop, HistoricalBars)
        wanted: dict[str, list[Interval]] = {}
        try:
            for question in asked:
                with self._refusing(_named(question)):
                    lacking = history.lacking(question.symbol, question.timeframe, question.begin, question.end)
                wanted.setdefault(question.symbol, []).extend(lacking)
            return self._fill(Backfill(history, shop), wanted)
        except (HistoryError, KeyRefused) as error:
            log.warning("history is not bought", reason=str(error))
            return dict.fromkeys(self.rules, f"does not sell it: {error}")

    def _fill(self, work: "Backfill", wanted: Mapping[str, Sequence[Interval]]) -> dict[str, str]:
        """Buy, within one ceiling; return by root why some of it cannot be had; raises what the vendor does."""
        bars = 0

        def kept(symbol: str, piece: "Fetched") -> None:
            nonlocal bars
            bars += len(piece.bars)
            self._at = Progress(f"{symbol} from Databento Historical", 0, self._at.of, bars)
            if self.stop.is_set():
                raise _Ended

        with self._refusing("Databento Historical"):
            scheduled = {symbol: joined(holes) for symbol, holes in wanted.items() if work.sessions(symbol, holes)}
            if not scheduled:
                return {}
            available = work.shop.source.available()
            spans = () if available is None else (available,)
            missing = [work.lacking(symbol, holes, spans) for symbol, holes in scheduled.items()]
            if any(found.beyond for found in missing):
                has = f"has {_span(available)} only" if available else "has nothing"
                return dict.fromkeys(wanted, f"{has}; nothing was bought")
            for found in missing:
                fields = {"symbol": found.symbol, "sessions": found.sessions, "price": str(found.price)}
                log.info("buying history", **fields)
            filled = list(work.fill(missing, work.shop.source.budget(), kept))
        for done in filled:
            fields = {"symbol": done.symbol, "minutes": done.bars, "cost": f"${done.cost:.4f}"}
            log.info("bought history", **fields)
        return {done.symbol: f"does not sell it: {done.reason}" for done in filled if done.reason}

    @contextlib.contextmanager
    def _refusing(self, what: str) -> Iterator[None]:
        """Turn what goes wrong with what is here into a refusal that says with what, and what can be done."""
        try:
            yield
        except (ArchiveDiffers, ArchiveError, SourcesDiffer) as error:
            raise WarmUpMissing(f"warm-up of {self.strategy}: {what}: {error}\n{self._remedies()}") from error

    def gather(
        self, history: History, asked: Sequence[Question], reasons: Mapping[str, str] | None = None
    ) -> tuple[Bar, ...]:
        """Return the answers to some questions, in their order; raises as `run`.

        Parameters
        ----------
        history
            Is asked; buys nothing.
        asked
            The questions.
        reasons
            By root, why Databento Historical does not help, for the message.
        """
        bars: list[Bar] = []
        missing: list[tuple[Question, tuple[Interval, ...]]] = []
        for n, question in enumerate(asked):
            if self.stop.is_set():
                raise _Ended
            what = f"{question.symbol} {question.timeframe.value}"
            self._at = Progress(what, n, len(asked), len(bars))
            found, holes = self._answer(history, question)
            bars += found
            if holes:
                missing.append((question, holes))
            if self.on_progress is None:
                fields = {"of": what, "bars": len(found), "question": f"{n + 1}/{len(asked)}"}
                log.info("history", **fields)
        self._at = Progress("", len(asked), len(asked), len(bars))
        if missing:
            raise WarmUpMissing(self._refusal(history, missing, reasons or {}))
        return tuple(bars)

    def _answer(self, history: History, question: Question) -> tuple[list[Bar], tuple[Interval, ...]]:
        """Return the bars of a question, and what is missing of it."""
        with self._refusing(_named(question)):
            answer = history.bars(question.symbol, question.timeframe, question.begin, question.end)
        rule = self.config.session_rule(question.symbol)
        whole = [bar for bar in answer.bars if not _is_in(bar.start, answer.holes)]
        if question.timeframe is Timeframe.MINUTE:
            return whole, tuple(hole for hole in answer.holes if scheduled_hours(rule.group, *hole))
        made, holes = _made(history, answer, rule)
        return sorted([*whole, *made], key=lambda bar: bar.start), holes

    def _vendor(self) -> "tuple[HistoricalSource | None, str]":
        """Return who sells what is missing, or why nobody is asked."""
        if not self.settings.buy:
            return None, "not asked: warm_up.buy is false"
        from pine.history.historical import HistoricalSource
        from pine.history.vendor import Patience
        from pine.hub.lead import choose_lead

        try:
            source = HistoricalSource(self.config, choose_lead, Patience(), self._sleep)
            self.config.databento.api_key.reveal()
        except (HistoryError, SecretMissing) as error:
            log.warning("no history is bought", reason=str(error))
            return None, f"not asked: {error}"
        return source, ""

    def _sleep(self, seconds: float) -> None:
        """Wait before the vendor is asked again; end at once if the worker is to end."""
        if self.stop.wait(seconds):
            raise _Ended

    def _refusal(
        self, history: History, missing: Sequence[tuple[Question, tuple[Interval, ...]]], reasons: Mapping[str, str]
    ) -> str:
        lines = [f"warm-up of {self.strategy}: history is missing, and nothing is decided without it"]
        for question, holes in missing:
            more = f" and {len(holes) - TOLD} more" if len(holes) > TOLD else ""
            lines.append(f"  {_named(question)}: missing {', '.join(map(_span, holes[:TOLD]))}{more}")
        symbols = list(dict.fromkeys(question.symbol for question, _ in missing))
        shared = {reasons.get(symbol, "") for symbol in symbols}
        for symbol in symbols:
            why_not = reasons.get(symbol, "")
            told = _covers(history, symbol, why_not)
            lines += [f"  {symbol} 1min: {line}" for line in (told[:-1] if why_not and len(shared) == 1 else told)]
        lines += [f"  {VENDOR} {why_not}" for why_not in shared if why_not and len(shared) == 1]
        return "\n".join([*lines, self._remedies()])

    def _remedies(self) -> str:
        other = (
            "with warm_up.buy: false Databento is not asked"
            if self.settings.buy
            else "or let it buy: warm_up.buy: true"
        )
        return (
            "fill the archive (pine backfill from Databento Historical, pine import from DBN files; "
            f"{other}), or set strategies.{self.strategy}.warm_up to fewer sessions or to off"
        )


def _made(history: History, answer: Answer, rule: SessionRule) -> tuple[list[Bar], tuple[Interval, ...]]:
    """Return the hours or days in an answer's holes of which only minutes without scheduled trading are unknown.

    Whatever else is missing is returned too. Files of single days leave the nights of weekends out.
    """
    made, missing = [], []
    for begin, end in answer.holes:
        spans = list(_periods(answer.timeframe, begin, end, rule))
        minutes = history.bars(answer.symbol, Timeframe.MINUTE, spans[0][1][0], spans[-1][1][1])
        unknown = [hole for hole in minutes.holes if scheduled_hours(rule.group, *hole)]
        for start, whole in spans:
            inside = [bar for bar in minutes.bars if whole[0] <= bar.start < whole[1]]
            if common(unknown, [whole]):
                missing.append((start, whole[1]))
            elif inside:
                made.append(fold(inside, answer.timeframe, start))
    return made, joined(missing)


def _periods(timeframe: Timeframe, begin: int, end: int, rule: SessionRule) -> Iterator[tuple[int, Interval]]:
    """Yield start and extent of the periods that start in an interval."""
    at = begin
    while at < end:
        found = period(timeframe, at, rule)
        whole = session_begin(at, rule) if timeframe is Timeframe.DAY else found.start
        if begin <= found.start < end:
            yield found.start, (whole, found.end)
        at = found.end


def _is_in(ts: int, intervals: Iterable[Interval]) -> bool:
    return any(begin <= ts < end for begin, end in intervals)


def _covers(history: History, symbol: str, why_not: str) -> list[str]:
    """Return a line for each source, the vendor last: of which time it has everything."""
    told = []
    sources = {"streams": history.streams, "archive": history.archive, VENDOR: history.historical}
    for name, source in sources.items():
        if name == VENDOR and why_not:
            told.append(f"{name} {why_not}")
            continue
        if source is None:
            told.append(f"{name}: none")
            continue
        try:
            spans = clipped(source.covered(symbol, Timeframe.MINUTE), 0, 1 << 62)
        except (PineError, redis.RedisError) as error:
            told.append(f"{name}: {error}")
            continue
        verb = f"{name} cover" if name == "streams" else f"{name} covers"
        more = f", {len(spans) - TOLD} pieces left out" if len(spans) > TOLD else ""
        told.append(f"{verb} {', '.join(map(_span, spans[:TOLD]))}{more}" if spans else f"{verb} nothing")
    return told


def _named(question: Question) -> str:
    return f"{question.symbol} {question.timeframe.value} from {_span((question.begin, question.end))}"


def _span(interval: Interval) -> str:
    begin, end = (isoformat(ts)[:16].replace("T", " ") for ts in interval)
    return f"{begin} to {end}"
