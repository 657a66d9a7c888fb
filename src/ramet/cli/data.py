"""`ramet data`: the verbs about the databases themselves. Each has a file of its own."""

import click

from ramet.cli.data_doctor import doctor
from ramet.cli.groups import Group


@click.group(cls=Group)
def data() -> None:
    """The databases of the modules: doctor.

    \b
    ramet data doctor
    ramet data doctor --module articles --json
    """


data.add_command(doctor)
