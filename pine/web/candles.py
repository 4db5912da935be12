"""The chart of one root, with the trades of all strategies or one."""

from collections.abc import MutableMapping
from typing import Any, Final

from nicegui import ui

from pine.core.timeframe import Timeframe
from pine.web.chart import options
from pine.web.view import price
from pine.web.watch import Picture, Watcher

LOADING: Final = "loading"
NONE: Final = "no bars yet"
ALL: Final = "all strategies"
SHOWN: Final = 150
"""Bars in view at first; the older ones are a turn of the wheel away."""
SHOWN_NARROW: Final = 60
NARROW_PIXELS: Final = 700


class CandleCard:
    """Chooses root, timeframe and strategy, and draws them.

    Parameters
    ----------
    watcher
        Reads the bars that somebody looks at.
    remembered
        What is kept for this browser.
    """

    def __init__(self, watcher: Watcher, remembered: MutableMapping[str, Any]) -> None:
        self._watcher = watcher
        self._remembered = remembered
        self._drawn: tuple[Any, ...] = ()
        self._view: tuple[Any, ...] = ()
        self._show = SHOWN
        symbols, strategies = list(watcher.config.instruments), list(watcher.config.strategies)
        timeframes = {timeframe.value: timeframe.value for timeframe in Timeframe}
        with ui.element("section").classes("p-card p-candles"):
            with ui.element("div").classes("p-bar"):
                first = _known(remembered.get("symbol"), symbols)
                self._symbol = ui.select(symbols, value=first, on_change=self._chosen).mark("symbol")
                chosen = _known(remembered.get("timeframe"), list(timeframes))
                self._timeframe = ui.toggle(timeframes, value=chosen, on_change=self._chosen).mark("timeframe")
                self._strategy = ui.select([ALL, *strategies], value=ALL, on_change=self._chosen)
                self._last = ui.label().classes("p-last").mark("last-price")
            self._symbol.props("dense outlined options-dense aria-label=root")
            self._strategy.props("dense outlined options-dense aria-label='whose trades'")
            self._timeframe.props("dense unelevated no-caps")
            self._chart = ui.echart({"series": []}).classes("p-chart").mark("chart")
            self._none = ui.label(LOADING).classes("p-dim p-none").mark("no-bars")
            self._chart.set_visibility(False)
            with ui.element("div").classes("p-legend"):
                for mark, text in (("p-good", "▲ bought"), ("p-bad", "▼ sold"), ("p-exit", "◆ exit")):
                    ui.label(text).classes(mark)
                ui.label("¦ session begins · times UTC").classes("p-dim")
        ui.context.client.on_connect(self._measure)

    async def _measure(self) -> None:
        """Show fewer bars where there is no room for more."""
        try:
            width = await ui.run_javascript("window.innerWidth", timeout=5)
        except TimeoutError:  # gone again, or too busy to say
            return
        if width < NARROW_PIXELS:
            self._show, self._view = SHOWN_NARROW, ()
            self.show(self._watcher.picture)

    def _chosen(self) -> None:
        self._remembered.update(symbol=self._symbol.value, timeframe=self._timeframe.value)
        self.show(self._watcher.picture)

    def show(self, picture: Picture) -> None:
        """Draw the chosen chart, if anything of it is new."""
        if self._symbol.value is None:
            return
        symbol, timeframe = self._symbol.value, Timeframe(self._timeframe.value)
        bars = self._watcher.bars(symbol, timeframe)
        if bars is None:
            self._wait_for((symbol, timeframe))
            return
        chosen = self._strategy.value
        orders = [
            order
            for name, listed in picture.orders.items()
            for order in listed
            if order["symbol"] == symbol and chosen in (ALL, name)
        ]
        view = (symbol, timeframe, chosen, bool(bars), self._show)
        drawn = (view, bars, orders)
        if drawn == self._drawn and view == self._view:
            return
        show = self._show if view != self._view else None
        self._drawn, self._view = drawn, view
        self._none.text = NONE
        self._none.set_visibility(not bars)
        self._chart.set_visibility(bool(bars))
        self._last.text = f"{bars[-1].contract_symbol} {price(bars[-1].close)}" if bars else ""
        rule = self._watcher.config.session_rule(symbol)
        self._chart.options.clear()
        self._chart.options.update(options(bars, rule, orders, show))
        self._chart.update()

    def _wait_for(self, chart: tuple[str, Timeframe]) -> None:
        """Show that bars are being read, unless those that are shown are of this very chart."""
        if self._view[:2] == chart:
            return
        self._none.text, self._last.text = LOADING, ""
        self._none.set_visibility(True)
        self._chart.set_visibility(False)
        self._drawn, self._view = (), ()


def _known(value: Any, allowed: list[str]) -> str | None:
    return value if value in allowed else next(iter(allowed), None)
