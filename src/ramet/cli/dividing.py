"""`ramet shard`, `move`, `rebalance`, `isolate`: where the rows of a module are, changed while they are read and written."""

import re
from typing import Any

import click

from ramet.cli import completing
from ramet.cli.plans import begin, options
from ramet.model.dividing import ANEW, DataWish
from ramet.model.sharding import Between, Buckets, Key, Slice
from ramet.model.wishes import Wish

_BUCKETS = re.compile(r"(\d{1,4})(?:\.\.(\d{1,4}))?")


@click.command()
@click.argument("module", shell_complete=completing.modules)
@click.argument("shards", type=click.IntRange(min=1), required=False)
@click.option("--on", "server", default="", help="The server for a new shard. Default: one of its own.")
@click.option("--undo", is_flag=True, help="Take back the last move of MODULE, as long as it is not cleaned up.")
@click.option("--clean", is_flag=True, help="Give up the way back: end replication, delete rows at their old places, in batches.")
@options
@click.pass_context
def shard(context: click.Context, module: str, shards: int | None, server: str, undo: bool, clean: bool, **given: Any) -> None:
    """Divide the database of MODULE into SHARDS, live, with the fewest moves; or into fewer again.

    Rows are copied by PostgreSQL's own replication, compared bucket by bucket, and given over while writers wait for some
    milliseconds. The old place stays a way back until `--clean`.

    \b
    ramet shard social 2 --dry-run
    ramet shard social 2
    ramet shard social --undo
    ramet shard social --clean
    """
    if (shards is not None) + undo + clean != 1:
        raise click.UsageError("one of: SHARDS, --undo, --clean")
    wish = DataWish(module=module, shards=shards or 0, back="last" if undo else "", clean="all" if clean else "", server=server)
    begin(context, Wish(data=wish), **given)


@click.command()
@click.argument("module", shell_complete=completing.modules)
@click.option("--buckets", metavar="A..B", default="", help="Buckets, of 0 to 1023.")
@click.option("--keys", metavar="LO..HI", default="", help="Keys from LO to below HI; either may be empty.")
@click.option(
    "--to", "shard", type=click.IntRange(min=0), default=None, help="The shard that is to own them. Default: a new one."
)
@click.option("--on", "server", default="", help="The server for a new shard.")
@options
@click.pass_context
def move(context: click.Context, module: str, buckets: str, keys: str, shard: int | None, server: str, **given: Any) -> None:
    """Move a part of MODULE's rows to another shard, live.

    \b
    ramet move social --buckets 512..767 --to 1
    ramet move events --keys 2026-01-01..
    """
    if bool(buckets) == bool(keys):
        raise click.UsageError("one of: --buckets, --keys")
    of: Slice = _buckets(buckets) if buckets else _between(keys)
    to = ANEW if shard is None else shard
    begin(context, Wish(data=DataWish(module=module, of=of, to=to, server=server)), **given)


@click.command()
@click.argument("module", shell_complete=completing.modules)
@options
@click.pass_context
def rebalance(context: click.Context, module: str, **given: Any) -> None:
    """Even out the shards of MODULE by their rows, with the fewest moves.

    \b
    ramet rebalance social --dry-run
    """
    begin(context, Wish(data=DataWish(module=module, rebalance=True)), **given)


@click.command()
@click.argument("module", shell_complete=completing.modules)
@click.option("--key", required=True, help="The key, as it is written in SQL.")
@click.option("--to", "shard", type=click.IntRange(min=0), default=None, help="The shard that is to own it. Default: a new one.")
@click.option("--on", "server", default="", help="The server for a new shard.")
@options
@click.pass_context
def isolate(context: click.Context, module: str, key: str, shard: int | None, server: str, **given: Any) -> None:
    """Give one key of MODULE, such as a large tenant, a shard of its own, live.

    \b
    ramet isolate social --key 7b0c2d4e-2f0a-7c11-9d6b-0242ac120002
    """
    to = ANEW if shard is None else shard
    begin(context, Wish(data=DataWish(module=module, of=Key(key), to=to, server=server)), **given)


def _buckets(text: str) -> Buckets:
    found = _BUCKETS.fullmatch(text)
    if found is None:
        raise click.UsageError(f"--buckets {text} is no range of buckets; such as 512..1023, or 7")
    return Buckets(int(found[1]), int(found[2] or found[1]))


def _between(text: str) -> Between:
    lo, dots, hi = text.partition("..")
    if not dots or not (lo or hi):
        raise click.UsageError(f"--keys {text} is no range of keys; such as a..m, or 1000..")
    return Between(lo or None, hi or None)
