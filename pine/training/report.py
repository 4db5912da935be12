"""A page that shows how models were trained and what they are worth: one HTML file, everything in it, no network."""

import html
from collections.abc import Sequence
from pathlib import Path

from pine.replay.page import chart, table, whole_page, write_page
from pine.strategies.models.card import GENERATED
from pine.training.charts import calibration_curve, curves, importance, timeline
from pine.training.told import METHOD, TRAINED_ON_GENERATED, figures_table, folds_table, formulas_table, left_out
from pine.training.train import Terms, Trained


def write_report(terms: Terms, found: Sequence[Trained], path: Path) -> None:
    """Write the page, over what is there, whole or not at all.

    Raises
    ------
    PineError
        If it cannot be written.
    """
    write_page(path, page(terms, found))


def page(terms: Terms, found: Sequence[Trained]) -> str:
    """Return the whole page."""
    made = [each for each in found if each.card is not None]
    body = [f"<h1>Models of {html.escape(terms.strategy)}</h1>"]
    if terms.data == GENERATED:
        body.append(f'<p class="verdict different"><b>{TRAINED_ON_GENERATED}</b></p>')
    body.append(f'<p class="muted">{html.escape(METHOD)} Seed {terms.seed}.</p>')
    if made:
        body += ["<h2>Figures</h2>", table(figures_table(made))]
    for each in found:
        body += _symbol(each)
    if made:
        body += ["<h2>Features</h2>", table(formulas_table(made[0].sample.features))]
        body += ["<h2>Parameters</h2>", table([["name", "value"], *([k, str(v)] for k, v in _params(made[0]))])]
    return whole_page(f"models of {terms.strategy}", body)


def _symbol(each: Trained) -> list[str]:
    sample, symbol = each.sample, html.escape(each.sample.symbol)
    missing = html.escape("; ".join(left_out(each)) or "nothing")
    body = [f"<h2>{symbol}</h2>"]
    if each.card is None or each.validation is None:
        return [
            *body,
            f'<p class="verdict different">No model: {html.escape(each.problem or "")}. Left out: {missing}.</p>',
        ]
    body.append(
        f"<p>{len(sample.rows)} rows, {each.card.trained_from} to {each.card.trained_to}; left out: {missing}.<br>"
        f"Label 1: {html.escape(each.card.label)}.</p>"
    )
    for heading, figure, name in (
        ("Folds", timeline(sample, each.validation), "folds"),
        (
            "Outcome over the folds, each judged by the threshold of those before it",
            curves(sample, each.validation),
            "sum",
        ),
        ("Calibration of the scores tested", calibration_curve(each.validation), "calibration"),
        ("Importance", importance(each.gains), "importance"),
    ):
        body += [f"<h3>{heading}</h3>", chart(figure, f"{name}-{symbol}")]
        if name == "folds":
            body.append(table(folds_table(each)))
    return body


def _params(trained: Trained) -> list[tuple[str, object]]:
    assert trained.card is not None
    return [*trained.card.params.items(), ("built with", trained.card.built_with), ("rows", trained.card.data_hash)]
