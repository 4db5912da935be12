"""The parts of a page that shows something: one HTML file, everything in it, no network."""

import html
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from pine.core.errors import PineError

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --bad: #c0392b; --good: #1e8449; }
* { box-sizing: border-box; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; padding: 16px; max-width: 1200px; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; } h3 { font-size: 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
.verdict { padding: .6rem .8rem; border-left: 6px solid var(--good); background: #8881; overflow-wrap: anywhere; }
.different { border-color: var(--bad); }
.muted { opacity: .7; }
.chart { width: 100%; min-height: 360px; }
td.differs { color: var(--bad); font-weight: 600; }
"""


def write_page(path: Path, text: str) -> None:
    """Write a page, over what is there, whole or not at all.

    Raises
    ------
    PineError
        If it cannot be written.
    """
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        half.write_text(text, encoding="utf-8")
        half.replace(path)
    except OSError as error:
        raise PineError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        half.unlink(missing_ok=True)


def whole_page(title: str, body: Iterable[str]) -> str:
    """Return a page with the charting library in it."""
    from plotly.offline import get_plotlyjs

    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>pine: {html.escape(title)}</title><style>{_STYLE}</style>"
        f"<script>{get_plotlyjs()}</script></head><body>{''.join(body)}</body></html>"
    )


def chart(figure: Any, name: str) -> str:
    """Return a chart for a page; its name is unique there."""
    from plotly.io import to_html

    drawn = to_html(
        figure,
        full_html=False,
        include_plotlyjs=False,
        div_id=name,
        config={"responsive": True, "displaylogo": False, "scrollZoom": True},
    )
    return f'<div class="chart">{drawn}</div>'


def table(rows: Sequence[Sequence[str]], differing: int | None = None) -> str:
    """Return a table with a heading row; in the column `differing` everything but zero stands out."""

    def cell(n: int, text: str) -> str:
        marked = ' class="differs"' if n == differing and text != "0" else ""
        return f"<td{marked}>{html.escape(text)}</td>"

    head = "".join(f"<th>{html.escape(text)}</th>" for text in rows[0])
    body = "".join(f"<tr>{''.join(cell(n, text) for n, text in enumerate(row))}</tr>" for row in rows[1:])
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'
