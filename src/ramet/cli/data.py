"""`ramet data`: the modules' databases, looked at. One verb a file."""

from ramet.cli.groups import Verb, Verbs

LOOK = "Verbs"

VERBS = {
    "advise": Verb(LOOK, "data_advise:advise"),
    "doctor": Verb(LOOK, "data_doctor:doctor"),
    "explain": Verb(LOOK, "data_explain:explain"),
    "slow": Verb(LOOK, "data_slow:slow"),
}
"""By the alphabet; a new verb is a file of its own and a line here."""

data = Verbs(
    name="data",
    prefix="ramet data",
    purposes=(LOOK,),
    table=VERBS,
    help="""The modules' databases: whether all is well, which queries are slow, why, and what would help.

    \b
    ramet data doctor            what is wrong, or will be
    ramet data slow              the queries that cost the most
    ramet data explain 09adc9    the plan of one, in words
    ramet data advise            indexes and keys that would help
    """,
)
