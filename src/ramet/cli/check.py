"""`ramet check`: what would break if a module were taken apart."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from ramet.check import formats, judging, opening
from ramet.check.findings import Finding
from ramet.check.report import Report
from ramet.cli import against as comparing
from ramet.cli.groups import Choice
from ramet.errors import ConfigError
from ramet.operate import files

FOUND = 1


@click.command()
@click.argument("target", required=False)
@click.option("--accept", is_flag=True, help="Accept what is found today: from now on only what is new fails the check.")
@click.option("--against", metavar="REVISION", help="Compare contracts with those of a git revision, or of what is `running`.")
@click.option("--json", "json_", is_flag=True, help="One JSON object.")
@click.option("--format", "form", type=Choice(["text", "github"]), default="text", show_default=True, help="github: annotations.")
@click.pass_context
def check(context: click.Context, target: str | None, accept: bool, against: str | None, json_: bool, form: str) -> None:
    """Find what would break if a module were taken apart: imports past a face, cycles, undeclared uses, calls in transactions,
    foreign tables, mutable shared state. Nothing of the code is run. Exit code 1 if something new is found.

    TARGET: a folder with ramet.toml, or any package by path or by name, whose subpackages then count as modules. Default: the
    application of the current folder.

    With --against the contracts of the calls are compared instead, which imports both versions, each in a process of its own.

    \b
    ramet check
    ramet check src/shop --accept
    ramet check --against main --format github
    """
    here = Path.cwd()
    file = _application(target, here)
    accepted_file = (file.parent if file else here) / judging.ACCEPTED
    if against is not None:
        if file is None or accept:
            raise click.UsageError("--against is for an application, and nothing of it can be accepted", context)
        report = comparing.report(file, against)
    else:
        opened = opening.of_application(files.load(file), file) if file else opening.of_package(str(target), here)
        report = judging.report(opened, accepted_file)
    if accept:
        click.echo(f"accepted: {len(judging.accept(report, accepted_file))} in {os.path.relpath(accepted_file)}", err=True)
        return
    if json_:
        click.echo(json.dumps(formats.as_json(report, shown_in(report.folder, here)), indent=2))
    elif form == "github":
        workspace = Path(os.environ.get("GITHUB_WORKSPACE") or here)
        for line in formats.as_github((*report.new, *report.notes), shown_in(report.folder, workspace)):
            click.echo(line)
    else:
        print_findings((*report.new, *report.notes), shown_in(report.folder, here))
    _summarize(report)
    if report.new:
        context.exit(FOUND)


def _application(target: str | None, here: Path) -> Path | None:
    """The ramet.toml that is meant; None for a package. Raises ConfigError where nothing is given and nothing is here."""
    if target is None:
        try:
            return files.find(here)
        except ConfigError as error:
            raise ConfigError(error.message, where=error.where, hint="or name a package: ramet check src/shop") from None
    file = (here / target / files.FILE).resolve()
    return file if file.is_file() else None


def shown_in(folder: Path, base: Path) -> Callable[[str], str]:
    """A path relative to `folder` as it is seen from `base`: relative if it is below that."""

    def shown(file: str) -> str:
        path = folder / file
        return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)

    return shown


def print_findings(findings: Iterable[Finding], shown: Callable[[str], str]) -> None:
    for each in findings:
        place = click.style(f"{shown(each.file)}:{each.line}", bold=True)
        code = click.style(each.code, fg="yellow" if each.rule.is_note else "red")
        click.echo(f"{place}  {code} {'note: ' if each.rule.is_note else ''}{each.rule.title}")
        click.echo(f"  {each.message}")
        click.echo(f"  why:    {each.rule.why}")
        click.echo(f"  change: {each.change}")


def _summarize(report: Report) -> None:
    for fingerprint in report.gone:
        click.echo(f"gone, and still accepted: {fingerprint}", err=True)
    if report.gone:
        click.echo("hint: ramet check --accept forgets what is gone", err=True)
    counts = [
        f"{len(found)} {word}"
        for found, word in (
            (report.new, "to mend"),
            (report.notes, "note" if len(report.notes) == 1 else "notes"),
            (report.accepted, "accepted"),
            (report.waived, "waived"),
        )
        if found
    ]
    clean = [] if report.new else ["clean"]
    click.echo(
        f"{', '.join([*clean, *counts])}: {report.modules} modules, {report.files} files, {report.lines:,} lines", err=True
    )
