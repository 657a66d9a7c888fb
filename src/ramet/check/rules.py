"""Every rule of `ramet check`, with the texts of `ramet explain`, of the findings and of docs/reference/findings.md."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """title: a few words, also the heading. what: when it is found. why: what breaks when the module is taken apart.

    change: what to do in general; a finding has its own. is_note: it is told, and does not fail the check.
    """

    code: str
    title: str
    what: str
    why: str
    change: str
    is_note: bool = False


UNDECLARED_USE = Rule(
    "RM103",
    "undeclared use",
    "A module imports another one that its `uses` does not list. The error RM103 is the same thing, found when the call is made.",
    "Apart, the callee refuses callers that did not declare it, and nothing that reads the declarations (certificates, plans,"
    " the order of a release) knows of this caller.",
    "Add the name to `uses`, or do without the import.",
)
CALL_IN_TRANSACTION = Rule(
    "RM105",
    "call in a transaction",
    "Inside a block of a database a call to another module is made, by this function or by one that it calls."
    " The error RM105 is the same thing, found when the call is made.",
    "Apart, the transaction holds its locks and its connection for the time of the network, and when it is rolled back the other"
    " module keeps what the call did.",
    "Make the call before the block, or after it.",
)
PAST_THE_FACE = Rule(
    "RM701",
    "import past a face",
    "Code reaches into another module: it imports an inner file, a private name or the database, not what the face (`api.py` or"
    " `__init__`) offers.",
    "In another process there is no such function, object or connection: only calls that the face exposes can be made from"
    " there. Until then every inner change can break this code.",
    "Offer it in the face as a call or a type, and import the face.",
)
CYCLE = Rule(
    "RM702",
    "cycle of modules",
    "Modules import each other in a circle. Imports for type checkers do not count.",
    "None of them can be taken out, released or tested without the others, and there is no order in which their versions can"
    " change: each is the caller that must come second.",
    "Turn one of the imports around: pass what is needed as an argument, or move it to the module that both use.",
)
UNUSED_USE = Rule(
    "RM703",
    "unused use",
    "`uses` lists a module that nothing in this one imports, or that the application does not have.",
    "Apart, the instances of this module are let in by the other one, connect to it, and wait for it in a release, for nothing.",
    "Leave the name out of `uses`.",
)
FOREIGN_TABLE = Rule(
    "RM704",
    "foreign table",
    "A statement, a migration or a foreign key names a table that belongs to another module: it is in that module's schema, or"
    " that module's migrations or models make it.",
    "The role of a module has no right to it, and once its database is moved, replicated or sharded the table is on another"
    " server. No join and no foreign key goes there.",
    "Ask the module that owns the table by a call, or keep the ids alone.",
)
SHARED_STATE = Rule(
    "RM705",
    "mutable shared state",
    "A function changes a dict, list, set or counter at the top level of a file.",
    "Each instance has its own copy: with two of them callers see one or the other, and a restart empties both.",
    "Keep it in the module's database. If each process may well have its own, such as a cache of what never changes, say so:"
    " `# ramet: allow RM705 because ...`.",
)
LAYER = Rule(
    "RM706",
    "import against the layers",
    "A module imports one that stands above it, or beside it, in the declared layers; also by way of other code.",
    "The lower module cannot run or be released without the higher one, which is the order that the layers promise.",
    "Move what is needed down, or pass it in from above.",
)
NOT_PUBLIC = Rule(
    "RM707",
    "name that is not public",
    "Code imports a name of another module that the declared public names (`[check.public]`, or an interface in tach.toml) do"
    " not list.",
    "What is not promised can change without a thought for its callers, and no compatible way is kept for it.",
    "Use a public name, or add this one to the list.",
)
FORBIDDEN = Rule(
    "RM708",
    "forbidden import",
    "Code imports what a `forbidden` or `independence` contract of import-linter rules out.",
    "Somebody has decided that the one has to work without the other; with this import it does not.",
    "Do without it, or change the contract.",
)
NO_FACE = Rule(
    "RM709",
    "module without a face",
    "A package counts as a module and has no face: in an application no `Module(...)` of its name, elsewhere neither an `api.py`"
    " nor anything in its `__init__`, while others import its inner files.",
    "Without a face all of it is public: nothing says which functions would have to answer over the wire.",
    "Write `api.py` and offer there what others use.",
)
RUN_TIME = Rule(
    "RM710",
    "decided at run time",
    "An import's target, or the list `uses`, is computed, so this check cannot see it.",
    "What is imported here may reach past a face, and would be found when it breaks.",
    "Write the name as a literal, or look at it yourself.",
    is_note=True,
)
UNREADABLE = Rule(
    "RM711",
    "file that cannot be read",
    "A file is no Python: a syntax error, an encoding that does not fit, null bytes, or it cannot be opened.",
    "Nothing in it was checked, and an instance that imports it does not start.",
    "Correct the file.",
)
WAIVES_NOTHING = Rule(
    "RM712",
    "waiver that waives nothing",
    "`# ramet: allow ...` speaks of a line without such a finding, names no code, or gives no reason.",
    "The next finding on that line would be waived by a decision that was about something else.",
    "Remove it, or write it as `# ramet: allow RM705 because ...`.",
)
SQL_NOT_READ = Rule(
    "RM713",
    "SQL that is not read",
    "A statement is given to the database that sqlglot does not understand.",
    "It may name another module's table, and would be found when the server refuses it.",
    "Look at it yourself.",
    is_note=True,
)
BREAKS_CALLER = Rule(
    "RM720",
    "change that breaks a deployed caller",
    "By `--against`: a call was removed or changed so that code of the other version, which calls it, cannot call it any more.",
    "Apart, the two are never replaced in one instant: from the first new instance to the last old one these calls fail.",
    "Make the change in a compatible way, and take the old one away when no deployed version needs it.",
)
CALLEE_FIRST = Rule(
    "RM721",
    "change that needs its callee first",
    "By `--against`: a call of the new code cannot be answered by the deployed callee.",
    "It works if the callee's new version runs everywhere before the caller's first instance starts, and not the other way"
    " round.",
    "Release the module that is called first.",
    is_note=True,
)

RULES: tuple[Rule, ...] = (
    UNDECLARED_USE,
    CALL_IN_TRANSACTION,
    PAST_THE_FACE,
    CYCLE,
    UNUSED_USE,
    FOREIGN_TABLE,
    SHARED_STATE,
    LAYER,
    NOT_PUBLIC,
    FORBIDDEN,
    NO_FACE,
    RUN_TIME,
    UNREADABLE,
    WAIVES_NOTHING,
    SQL_NOT_READ,
    BREAKS_CALLER,
    CALLEE_FIRST,
)
