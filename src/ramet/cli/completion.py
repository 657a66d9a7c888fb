"""`ramet completion`: the script that lets a shell complete verbs, options and the application's own names."""

import click
from click.shell_completion import get_completion_class

from ramet.cli.groups import Choice

VARIABLE = "_RAMET_COMPLETE"
"""Under which the script asks this command what there is; click's own name for it."""
SHELLS = ("bash", "zsh", "fish")

NO_SPACE = {
    "bash": (
        "    return 0\n",
        "    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then compopt -o nospace; fi\n\n",
    ),
    "zsh": (
        '    if [ -n "$completions" ]; then\n',
        """\
    local -a named=(${(M)completions:#*=})
    completions=(${completions:#*=})
    compadd -U -S '' -V unsorted -a named

""",
    ),
}
"""Before which line of click's script to put what: a value follows `name=` at once. fish does so by itself."""


@click.command()
@click.argument("shell", type=Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of SHELL: bash, zsh or fish. It completes verbs and options, and of the application in the
    current folder the topologies, modules, calls with their parameters, and instances.

    \b
    ramet completion bash >> ~/.bashrc
    ramet completion zsh >> ~/.zshrc
    ramet completion fish > ~/.config/fish/completions/ramet.fish
    """
    made = get_completion_class(shell)
    assert made is not None, "click knows these three"
    script = made(context.find_root().command, {}, "ramet", VARIABLE).source()
    if shell in NO_SPACE:
        line, addition = NO_SPACE[shell]
        script = script.replace(line, addition + line, 1)
    click.echo(script.strip())
