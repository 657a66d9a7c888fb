"""What a shell offers behind a verb: names of the application in the current folder. Asked anew at each press of the key.

A shell that asks is told nothing rather than an error: whatever is wrong with the application, the verb itself will say.
"""

import contextlib
import functools
import io
from collections.abc import Callable, Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem

from ramet.cli.application import Current, current

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]]]


def _completing(names: Callable[[Current, click.Context], Iterable[str]]) -> Complete:
    """From a function that lists all names to what click calls. What the application's code prints while it is imported is
    dropped, since the shell reads our output."""

    @functools.wraps(names)
    def complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                found = list(names(current(), context))
        except Exception:  # noqa: BLE001  (a user's code may raise anything; see above)
            return []
        return [CompletionItem(name) for name in found if name.startswith(incomplete)]

    return complete


@_completing
def topologies(here: Current, _: click.Context) -> Iterable[str]:
    return here.application.topologies


@_completing
def modules(here: Current, _: click.Context) -> Iterable[str]:
    return here.application.modules


@_completing
def services(here: Current, _: click.Context) -> Iterable[str]:
    return dict.fromkeys(name for topology in here.application.topologies.values() for name in topology.services)


@_completing
def instances(here: Current, _: click.Context) -> Iterable[str]:
    """Of the fleet that runs, or ran last."""
    record = here.folder.load()
    return [each.name for each in record.instances] if record else []


@_completing
def calls(here: Current, _: click.Context) -> Iterable[str]:
    return [call.contract.qualified for module in here.modules.values() for call in module.calls.values()]


@_completing
def arguments(here: Current, context: click.Context) -> Iterable[str]:
    """`name=` of each parameter of the call that stands before."""
    module, _, name = str(context.params.get("call", "")).partition(".")
    given: Any = context.params.get("arguments") or ()
    taken = {word.partition("=")[0].rstrip(":") for word in given}
    parameters = here.modules[module].calls[name].contract.parameters
    return [f"{parameter.name}=" for parameter in parameters if parameter.name not in taken]
