"""The charts of a training's report."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from pine.core.times import to_datetime
from pine.replay.charts import COLOURS, laid_out
from pine.training.measures import calibration
from pine.training.rows import Sample
from pine.training.validation import Validation

MOST_FEATURES: Final = 25


def timeline(sample: Sample, found: Validation) -> Any:
    """Return a figure of what each fold was trained on, what was held back, and what was tested."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for name, colour in (("trained", COLOURS[0]), ("purged or embargoed", "#aab7b8"), ("tested", COLOURS[1])):
        x: list[Any] = []
        y: list[Any] = []
        for n, each in enumerate(found.folds, 1):
            train, test = set(each.fold.train), each.fold.test
            held = [row for row in range(test[0]) if row not in train]
            for row in {"trained": each.fold.train, "tested": test}.get(name, held):
                span = sample.rows[row]
                x += [to_datetime(span.step), to_datetime(span.known), None]
                y += [f"fold {n}", f"fold {n}", None]
        figure.add_scatter(x=x, y=y, mode="lines", line={"color": colour, "width": 9}, name=name, hoverinfo="x")
    figure.update_yaxes(autorange="reversed", type="category")
    return _of_height(figure, 340)


def calibration_curve(found: Validation) -> Any:
    """Return a figure of the share of label 1 by score, with the line of a score that is what it says."""
    import plotly.graph_objects as go

    bins = list(calibration(found.labels, found.scores))
    ends = [min(0.0, *(one.score for one in bins)), max(1.0, *(one.score for one in bins))]
    figure = go.Figure()
    figure.add_scatter(x=ends, y=ends, mode="lines", line={"color": "#888", "dash": "dot"}, name="as it says")
    figure.add_scatter(
        x=[one.score for one in bins],
        y=[one.share for one in bins],
        mode="lines+markers",
        line={"color": COLOURS[0]},
        text=[f"{one.rows} rows" for one in bins],
        name="rows tested",
    )
    figure.update_xaxes(title_text="mean score", range=[0, 1])
    figure.update_yaxes(title_text="share that earned", range=[0, 1])
    return _of_height(figure, 360, hovermode="closest")


def importance(gains: Mapping[str, float]) -> Any:
    """Return a figure of the mean gain of the splits on each feature."""
    import plotly.graph_objects as go

    names = list(gains)[:MOST_FEATURES]
    figure = go.Figure()
    figure.add_bar(x=[gains[name] for name in names], y=names, orientation="h", marker={"color": COLOURS[2]})
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title_text="mean gain of its splits")
    figure = _of_height(figure, 120 + 22 * len(names), hovermode="closest")
    figure.update_layout(margin_l=430)
    return figure


def curves(sample: Sample, found: Validation) -> Any:
    """Return a figure of the summed outcome of rows judged by earlier folds' thresholds: of all, of those passed."""
    import plotly.graph_objects as go

    judged = found.judged.astype(bool)
    times = [to_datetime(sample.rows[n].known) for n, is_judged in zip(found.numbers, judged, strict=True) if is_judged]
    outcomes = found.outcomes[judged]
    passed = np.where(found.passed, found.outcomes, 0.0)[judged]
    figure = go.Figure()
    for n, (name, steps) in enumerate((("without the veto", outcomes), ("with the veto", passed))):
        line = {"shape": "hv", "color": COLOURS[n]}
        figure.add_scatter(x=times, y=np.cumsum(steps).tolist(), name=name, line=line)
    figure.update_yaxes(title_text="$ after costs")
    return _of_height(figure, 360)


def _of_height(figure: Any, height: int, **layout: Any) -> Any:
    figure = laid_out(figure)
    figure.update_layout(height=height, **layout)
    return figure
