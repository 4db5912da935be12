"""``pine train``: models from the entries that a strategy's own engine asked for in a replay."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pine.cli.context import FINE, WRONG, configuration, exits, print_json
from pine.cli.options import Time, config_option
from pine.cli.sources import look, progress
from pine.cli.trades import HISTORY, spooled, trade_files

if TYPE_CHECKING:
    from pine.core.config import Config
    from pine.replay.jobs import Done
    from pine.replay.plans import Wish
    from pine.training.rows import Sample
    from pine.training.train import Terms, Trained

SEED = 1


@click.command()
@click.argument("name")
@click.option("--symbols", metavar="ES,NQ", help="Train only these of its instruments.")
@click.option("--from", "begin", type=Time(), help="Entries from then on; else from where the warm-up is known.")
@click.option("--to", "end", type=Time(), help="Until then; else to the end.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    default=(HISTORY,),
    metavar="history|tape|FILE",
    help="Bars of streams and archive (the default), or trades: the hub's tape, or DBN files, each named.",
)
@click.option(
    "--warm-up",
    type=click.Choice(["configured", "off"]),
    default="configured",
    help="Feed history first as the configuration says, or only the session under way. Trades: what they hold.",
)
@click.option(
    "--features",
    multiple=True,
    metavar="TEXT",
    help="Address of a feature, again for more; else the strategy's features, else those of its type.",
)
@click.option("--slippage-ticks", type=click.FloatRange(0), default=0.0, help="Ticks by which every fill is worse.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=SEED, show_default=True, help="Of the training.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the models; the configured one if left out.",
)
@click.option("--replace", is_flag=True, help="Overwrite models that are there.")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the HTML page goes; else into the replay's folder.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@config_option
@click.pass_context
@exits
def train(
    ctx: click.Context,
    /,
    name: str,
    symbols: str | None,
    begin: int | None,
    end: int | None,
    sources: tuple[str, ...],
    warm_up: str,
    features: tuple[str, ...],
    slippage_ticks: float,
    seed: int,
    out: Path | None,
    replace: bool,
    report: Path | None,
    as_json: bool,
) -> None:
    """Train a model for each instrument of strategy NAME.

    The strategy is replayed with its filters, without models, and without limits of positions and loss; each entry it
    asks for is a row: the features as its worker would write them down, and what the trade earned after costs. The
    models are validated on later rows than they were trained on, and written with a card and a report. Workers take
    them up at their next start, if their strategy says model: optional or required.

    Exit code 1 if no model could be made, if one that is there could not be replaced and stays as it was, or if the
    replay found something wrong on the way.
    """
    from pine.bus.ending import interrupt_on_end
    from pine.replay.plans import Wish
    from pine.replay.run import Costs
    from pine.training.candidates import unlimited
    from pine.training.features import features_of
    from pine.training.train import refuse_to_replace
    from pine.worker.run import check_name

    config = configuration(ctx)
    check_name(config, name)
    chosen = _symbols(config, name, symbols)
    addresses = features_of(config.strategies[name], features)
    folder = (out or config.models_folder).absolute()
    if not replace:
        refuse_to_replace(folder, name, chosen)
    interrupt_on_end()  # what is unpacked or started for a while goes with the command, however it is ended
    wish = Wish(begin, end, Costs(None, slippage_ticks), None, warm_up == "configured")
    with look(config):
        done = _replayed(unlimited(config, name, addresses), name, wish, sources)
    if done.folder is None:
        click.echo("stopped before the end; nothing is trained", err=True)
        sys.exit(WRONG)
    terms, samples = _samples(done.folder, name, chosen, addresses, seed, slippage_ticks)
    found = [_trained(config, terms, sample, folder) for sample in samples]
    _tell(terms, found, folder, report or done.folder / "report.html", done, as_json=as_json)
    made = any(each.card is not None for each in found)
    stays = any(each.kept for each in found)
    sys.exit(FINE if made and not stays and not done.alerts else WRONG)


def _symbols(config: "Config", name: str, text: str | None) -> list[str]:
    """Return the strategy's instruments that are to be trained."""
    from pine.core.errors import UnknownSymbol

    known = list(config.traded[name])
    wanted = known if text is None else list(dict.fromkeys(part.strip().upper() for part in text.split(",") if part))
    strange = [symbol for symbol in wanted if symbol not in known]
    if strange or not wanted:
        found = ", ".join(strange) or "none"
        raise UnknownSymbol(f"--symbols: found {found}, expected instruments of {name}: {', '.join(known)}")
    return wanted


def _replayed(config: "Config", name: str, wish: "Wish", sources: tuple[str, ...]) -> "Done":
    from pine.cli.replay_view import stepping
    from pine.replay.jobs import Job, run_folder, run_jobs

    files = trade_files(config, sources, wish.begin, wish.end)
    folder = run_folder(config, f"{name}-training")
    with spooled(config, [name], files) as tape, stepping([name]) as on_progress:
        (done,) = run_jobs([Job(config, name, wish, folder, tape=tape)], on_progress)
    return done


def _samples(
    folder: Path, name: str, chosen: list[str], features: tuple[str, ...], seed: int, slippage_ticks: float
) -> "tuple[Terms, list[Sample]]":
    from pine.replay import record as records
    from pine.training.rows import data_of, samples_of
    from pine.training.train import Terms

    record = records.read(folder)
    found = samples_of(record, chosen, features)
    return Terms(name, seed, slippage_ticks, data_of(record)), [found[symbol] for symbol in chosen]


def _trained(config: "Config", terms: "Terms", sample: "Sample", folder: Path) -> "Trained":
    from pine.training.train import kept, save, train
    from pine.training.validation import FOLDS

    with progress() as bars:
        task = None if bars is None else bars.add_task(f"folds of {sample.symbol}", total=FOLDS)
        made = train(
            config, terms, sample, (lambda: None) if bars is None or task is None else lambda: bars.advance(task)
        )
    return kept(folder, terms.strategy, made) if made.card is None else save(folder, made)


def _tell(terms: "Terms", found: "list[Trained]", folder: Path, page: Path, done: "Done", *, as_json: bool) -> None:
    from pine.cli import train_view
    from pine.strategies.models.files import replace_file
    from pine.training.report import write_report
    from pine.training.told import markdown

    write_report(terms, found, page)
    if any(each.card is not None for each in found):
        replace_file(folder / terms.strategy / "report.md", markdown(terms, found).encode())
    if as_json:
        print_json(train_view.document(terms, found, folder, page, done))
    else:
        train_view.show(terms, found, folder, page, done)
