"""`ramet replicate` and `ramet failover`: copies of a module's database servers, and which of them is the primary."""

from typing import Any

import click

from ramet.cli import completing
from ramet.cli.plans import begin, options
from ramet.model.dividing import DataWish
from ramet.model.wishes import Wish


@click.command()
@click.argument("module", shell_complete=completing.modules)
@click.argument("replicas", type=click.IntRange(min=0))
@click.option("--synchronous/--no-synchronous", default=None, help="Whether commits wait until one replica has them on disk.")
@options
@click.pass_context
def replicate(context: click.Context, module: str, replicas: int, synchronous: bool | None, **given: Any) -> None:
    """Give each database server of MODULE so many REPLICAS, live: copied while it serves, read when they have caught up.

    What a request has written it reads back, wherever it reads. Other modules on the same server read there too.

    \b
    ramet replicate articles 1
    ramet replicate articles 2 --synchronous
    ramet replicate articles 0
    """
    wish = DataWish(module=module, replicas=replicas, synchronous=synchronous)
    begin(context, Wish(data=wish), **given)


@click.command()
@click.argument("module", shell_complete=completing.modules)
@click.option("--to", "node", default="", help="The replica that is to be primary. Default: the one with the most of the log.")
@options
@click.pass_context
def failover(context: click.Context, module: str, node: str, **given: Any) -> None:
    """Make a replica the primary of MODULE's database server; the old primary becomes a replica. For a dead one this happens by
    itself.

    \b
    ramet failover articles
    ramet failover articles --to r1
    """
    begin(context, Wish(data=DataWish(module=module, fail_over=True, node=node)), **given)
