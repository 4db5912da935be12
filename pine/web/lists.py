"""Tables of orders and of what happened."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from nicegui import ui

from pine.core.config import Config
from pine.web.records import ORDERS, Happened
from pine.web.view import order_row
from pine.web.watch import Picture

# One line of markup for what Quasar's table draws no other way: a colour by a value of the row.
_ANSWER: Final = '<q-td :props="props"><span :class="`p-badge p-${props.row.answered}`">{{ props.value }}</span></q-td>'
_PNL: Final = '<q-td :props="props"><span :class="`p-${props.row.tone}`">{{ props.value }}</span></q-td>'
_ORDER: Final = (
    '<div class="p-order"><b>{{ props.row.what }}</b><span :class="`p-badge p-${props.row.answered}`">'
    '{{ props.row.answer }}</span><span class="p-dim">{{ props.row.time }} · {{ props.row.strategy }} · '
    '{{ props.row.reason }}</span><span :class="`p-${props.row.tone}`">'
    "{{ props.row.pnl || props.row.fill }}</span></div>"
)
_EVENT: Final = (
    '<div class="p-order"><b>{{ props.row.kind }} {{ props.row.where }}</b><span class="p-dim">{{ props.row.time }}'
    '</span><span class="p-dim">{{ props.row.text }}</span></div>'
)
_FEW: Final = ("time", "strategy", "what", "fill", "pnl", "answer")
_TITLES: Final = {
    "time": "time (UTC)",
    "strategy": "strategy",
    "what": "order",
    "price": "price",
    "fill": "fill",
    "pnl": "P&L",
    "answer": "broker",
    "attempts": "posts",
    "reason": "reason",
    "kind": "what",
    "where": "where",
    "text": "",
}
_RIGHT: Final = frozenset({"price", "fill", "pnl", "attempts"})


def _table(names: Sequence[str], item: str, none: str, rows_shown: int) -> ui.table:
    columns = [
        {"name": name, "label": _TITLES[name], "field": name, "align": "right" if name in _RIGHT else "left"}
        for name in names
    ]
    table = ui.table(columns=columns, rows=[], row_key="id", pagination=rows_shown)
    table.props(f'flat dense no-data-label="{none}" hide-selected-banner')
    table.props(':grid="Quasar.Screen.width < 700" :rows-per-page-options="[]"')
    table.add_slot("item", item)
    if "answer" in names:
        table.add_slot("body-cell-answer", _ANSWER)
        table.add_slot("body-cell-pnl", _PNL)
    return table.classes("p-table")


class Lists:
    """Orders of all strategies, and what happened."""

    def __init__(self) -> None:
        self._orders_shown: Mapping[str, Any] | None = None
        self._happened: tuple[Happened, ...] | None = None
        with ui.element("section").classes("p-card p-lists"):
            with ui.tabs().props("dense no-caps align=left inline-label") as tabs:
                orders, events = ui.tab("Orders"), ui.tab("Events")
            with ui.tab_panels(tabs, value=orders).props("keep-alive"):
                with ui.tab_panel(orders):
                    self._orders = _table(_FEW, _ORDER, "no orders yet", 15).mark("orders")
                with ui.tab_panel(events):
                    self._events = _table(("time", "kind", "where", "text"), _EVENT, "nothing happened yet", 15)
                    self._events.mark("events")

    def show(self, picture: Picture) -> None:
        """Show what was added."""
        if picture.orders != self._orders_shown:
            self._orders_shown = picture.orders
            everything = [order for orders in picture.orders.values() for order in orders]
            everything.sort(key=lambda order: (order["time"], order["intent"]), reverse=True)
            self._orders.rows = [order_row(order) for order in everything[:ORDERS]]
        if picture.happened != self._happened:
            self._happened = picture.happened
            self._events.rows = [
                {
                    "id": n,
                    "time": event.when,
                    "kind": event.kind,
                    "where": event.where,
                    "text": event.text,
                }
                for n, event in enumerate(picture.happened)
            ]


class Details:
    """The orders of one strategy, when somebody asks for them."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._name = ""
        self._shown: tuple[Mapping[str, Any], ...] | None = None
        with ui.dialog() as self._dialog, ui.element("div").classes("p-card p-details"):
            with ui.element("div").classes("p-bar"):
                self._title = ui.label().classes("p-ask-title").mark("details-title")
                ui.button(icon="close", on_click=self._dialog.close, color=None).props(
                    "flat round dense aria-label=close"
                )
            self._about = ui.label().classes("p-dim")
            self._table = _table(
                ("time", "what", "price", "fill", "pnl", "answer", "attempts", "reason"), _ORDER, "no orders yet", 15
            )
            self._table.mark("details")

    def open(self, name: str) -> None:
        """Show a strategy's orders, kept up to date until closed."""
        setting = self._config.strategies[name]
        self._name, self._shown = name, None
        self._title.text = name
        roots = ", ".join(setting.instruments)
        self._about.text = f"{setting.type} on {roots}; at most {setting.max_positions} positions; its newest orders:"
        self._dialog.open()

    def show(self, picture: Picture) -> None:
        """Show what was added, if somebody looks."""
        orders = picture.orders.get(self._name, ())
        if self._dialog.value and orders != self._shown:
            self._shown = orders
            self._table.rows = [order_row(order) for order in reversed(orders)]
