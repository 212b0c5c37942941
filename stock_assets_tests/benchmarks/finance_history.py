"""A finance history of the whole market at 200 calls a minute: once undisturbed, once killed again and again.

What the planner says beforehand stands beside what the undisturbed run took. Time is that of a clock which only waiting
moves (see `faults.finance_history`); the seconds that this machine needed are beside it.
"""

import tempfile
from pathlib import Path

import click

from stock_assets_tests.benchmarks.stores import store
from stock_assets_tests.faults.finance_history import LIMIT, Measured, history, predicted


@click.command()
@click.option("--stocks", default=5_400, show_default=True)
@click.option("--batch-size", default=100, show_default=True)
@click.option("--kills", default=50, show_default=True)
def main(stocks: int, batch_size: int, kills: int) -> None:
    """Run both and compare."""
    plan = predicted(stocks, batch_size)
    click.echo(f"predicted: {plan.requests} requests, {plan.seconds / 60:.2f} minutes")
    calm = _run("undisturbed", stocks, batch_size, 0)
    hostile = _run(f"killed {kills} times", stocks, batch_size, kills)
    wasted = hostile.requests - calm.requests
    click.echo(f"wasted: {wasted} requests, {wasted / max(hostile.kills, 1):.0f} a kill, at most {batch_size} may be")
    same = hostile.digest == calm.digest and hostile.ledger == calm.ledger
    click.echo(f"same rows and ledger: {'yes' if same else 'no'}")


def _run(name: str, stocks: int, batch_size: int, kills: int) -> Measured:
    with store(None) as database, tempfile.TemporaryDirectory() as folder:
        url = database.engine.url.render_as_string(hide_password=False)
        measured = history(database, url, Path(folder), stocks=stocks, batch_size=batch_size, kills=kills, seed=kills)
    click.echo(
        f"{name}: {measured.kills} kills, {measured.requests} requests, {measured.virtual_seconds / 60:.2f} minutes, "
        f"busiest minute {measured.busiest_minute} of {LIMIT}, refused {measured.refused}, {measured.digest[1]} rows, "
        f"digest {measured.digest[0]}, {measured.real_seconds:.0f} s of this machine"
    )
    return measured


if __name__ == "__main__":
    main()
