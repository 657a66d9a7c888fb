"""The `ramet` command. The only part that prints or exits; one file a verb.

Not here: anything that another program could want to call (that is below).

Data goes to stdout, talk to stderr. Exit codes: 0 fine, 1 the check found something, 2 could not do it.
"""

from ramet.cli.main import main as main
