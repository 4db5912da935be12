"""How cost grows, as a page with two charts for each table; needs no network."""

from collections.abc import Sequence
from pathlib import Path

from pine.bench.scale import Table


def write(path: Path, tables: Sequence[Table]) -> None:
    """Write rate and memory of tables over their sizes."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    titles = [text for table in tables for text in (f"{table.what}: {table.unit} a second", "memory, MB")]
    figure = make_subplots(rows=len(tables), cols=2, subplot_titles=titles)
    for row, table in enumerate(tables, start=1):
        sizes = [point.size for point in table.points]
        for column, values in enumerate(([p.rate for p in table.points], [p.memory for p in table.points]), start=1):
            line = go.Scatter(x=sizes, y=values, mode="lines+markers", showlegend=False, name=table.what)
            figure.add_trace(line, row=row, col=column)
            over = table.name.removeprefix("scale-")
            figure.update_xaxes(type="log", tickvals=sizes, title=over, title_standoff=4, row=row, col=column)
    figure.update_yaxes(type="log")
    figure.update_layout(height=360 * len(tables), title="How cost grows", template="plotly_white")
    path.write_text(figure.to_html(include_plotlyjs=True, full_html=True), encoding="utf-8")
