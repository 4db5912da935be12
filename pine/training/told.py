"""What a training came to, in words and figures, for a terminal, a page and a text beside the models."""

from collections.abc import Sequence
from typing import Any, Final

from pine.strategies.features.address import parse_address
from pine.strategies.features.registry import FEATURES
from pine.strategies.models.card import GENERATED
from pine.training.boosting import ROUNDS
from pine.training.threshold import LEAST_SHARE
from pine.training.train import Terms, Trained
from pine.training.validation import EMBARGO, FOLDS

TRAINED_ON_GENERATED: Final = "GENERATED MARKET: these models show the mechanism and are worthless on a real market."
METHOD: Final = (
    f"Rows in order of time are cut into {FOLDS + 1} equal parts; each but the first is tested by a model of the rows "
    "before it. A row trains only if its exit was known before the first entry tested, less an embargo of "
    f"{EMBARGO:.0%} of the time of all rows. The threshold earns most per candidate on all rows tested, of those that "
    f"let at least {LEAST_SHARE:.0%} of them pass. 'With the veto' judges each fold by the threshold that rows of the "
    "folds before it choose whose exit was known as early as that, so by nothing that has seen it. The model itself "
    f"is trained on all rows, {ROUNDS} trees."
)


def figures_table(found: Sequence[Trained]) -> list[list[str]]:
    """Return the metrics of each symbol's model as a table with a heading, symbols across."""
    rows = [["", *(each.sample.symbol for each in found)]]
    told = [_figures(each) for each in found]
    return rows + [[name, *(figures[n][1] for figures in told)] for n, (name, _) in enumerate(told[0])]


def folds_table(trained: Trained) -> list[list[str]]:
    """Return a line for each fold of a symbol, with a heading."""
    heading = [
        "fold",
        "from",
        "to",
        "trained",
        "purged",
        "embargoed",
        "tested",
        "AUC",
        "Brier",
        "base",
        "$ all",
        "$ veto",
    ]
    assert trained.card is not None
    rows = [
        [
            str(n),
            told["from"][:10],
            told["to"][:10],
            *(str(told[name]) for name in ("trained", "purged", "embargoed", "tested")),
            *(
                [number(told.get(name), form) for name, form in _FOLD_FORMS]
                if told["skipped"] is None
                else [told["skipped"], "", "", "", ""]
            ),
        ]
        for n, told in enumerate(trained.card.metrics["folds"], 1)
    ]
    return [heading, *rows]


def formulas_table(features: Sequence[str]) -> list[list[str]]:
    """Return each feature's address with the formula of its definition."""
    return [["feature", "formula"], *([text, formula(text)] for text in features)]


def formula(address: str) -> str:
    """Return the first sentence of a definition's own words."""
    words = (FEATURES[parse_address(address).name].__doc__ or "").strip()
    return " ".join(words.split("\n\n")[0].replace("`", "").split())


def left_out(trained: Trained) -> list[str]:
    """Return which entries did not become rows, and why."""
    sample = trained.sample
    told = [f"{sample.still_open} still open at the end"] if sample.still_open else []
    if sample.incomplete:
        by_feature = ", ".join(f"{name} {count}" for name, count in sample.missing.items())
        told.append(f"{sample.incomplete} without a value of some feature ({by_feature})")
    return told


def markdown(terms: Terms, found: Sequence[Trained]) -> str:
    """Return a short text that lies beside the models."""
    made = [each for each in found if each.card is not None]
    lines = [f"# Models of {terms.strategy}", ""]
    if terms.data == GENERATED:
        lines += [f"**{TRAINED_ON_GENERATED}**", ""]
    lines += [f"Written by `pine train {terms.strategy}` (seed {terms.seed}). {METHOD}", ""]
    if made:
        lines += [*_markdown_table(figures_table(made)), ""]
    for each in found:
        lines += [f"## {each.sample.symbol}", ""]
        if each.card is None:
            lines += [f"No model: {each.problem}.", ""]
            continue
        lines += [f"Label 1: {each.card.label}. {each.card.trained_from} to {each.card.trained_to}.", ""]
        lines += [f"Left out: {'; '.join(left_out(each)) or 'nothing'}.", ""]
        lines += [*_markdown_table(folds_table(each)), ""]
    if made:
        lines += [*_markdown_table(formulas_table(made[0].sample.features)), ""]
    return "\n".join(lines)


def number(value: float | None, form: str) -> str:
    """Return a figure as text, a dash where there is none."""
    return "–" if value is None else format(value, form)


_FOLD_FORMS: Final = (
    ("auc", ".3f"),
    ("brier", ".4f"),
    ("brier_base", ".4f"),
    ("outcome_without", ".2f"),
    ("outcome_with", ".2f"),
)


def _figures(trained: Trained) -> list[tuple[str, str]]:
    assert trained.card is not None
    metrics: dict[str, Any] = trained.card.metrics
    return [
        ("rows trained on", str(metrics["rows_trained"])),
        ("rows tested", str(metrics["rows"])),
        ("base rate", number(metrics["base_rate"], ".1%")),
        ("AUC", number(metrics["auc"], ".3f")),
        ("log loss (of the base rate)", f"{metrics['log_loss']:.4f} ({metrics['log_loss_base']:.4f})"),
        ("Brier score (of the base rate)", f"{metrics['brier']:.4f} ({metrics['brier_base']:.4f})"),
        ("threshold", number(trained.card.threshold, ".4f")),
        ("share that passes", number(metrics["share_chosen"], ".0%")),
        ("$ per candidate, all tested", number(metrics["outcome_all"], ".2f")),
        ("$ with the threshold, on the rows that chose it", number(metrics["outcome_chosen"], ".2f")),
        ("rows judged by earlier folds' thresholds", str(metrics["judged"])),
        ("$ per candidate without the veto, of those", number(metrics["outcome_without"], ".2f")),
        ("$ per candidate with the veto, of those", number(metrics["outcome_with"], ".2f")),
        ("share that passes, of those", number(metrics["share_with"], ".0%")),
        ("embargo, hours", number(metrics["embargo_hours"], ".1f")),
    ]


def _markdown_table(rows: Sequence[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    return [line(rows[0]), line(["---"] * len(rows[0])), *map(line, rows[1:])]
