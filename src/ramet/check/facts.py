"""What is known of one Python file once it has been read. The rules see nothing else, so a file that did not change is not read
again.

NamedTuples: a large application has a hundred thousand of them, and they are kept on disk as arrays.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Import(NamedTuple):
    """`from target import name`, or `import target` with an empty name. Relative ones are resolved.

    bound: the name that it makes in the file, empty for a dynamic import. is_typing: in `if TYPE_CHECKING`.
    """

    line: int
    target: str
    name: str
    bound: str
    is_typing: bool

    @property
    def is_dynamic(self) -> bool:
        return not self.bound

    @property
    def path(self) -> str:
        """What is imported, whether that is a file or a name in one."""
        return f"{self.target}.{self.name}" if self.name and self.name != "*" else self.target


class Use(NamedTuple):
    """An attribute of something imported, such as `accounts.persons`: `dotted` as written, where it is used first."""

    line: int
    dotted: str


class Call(NamedTuple):
    """function: the one around it, such as `Store.save`, empty at the top level. dotted: what is called, as written.

    block_line: of the transaction around it, 0 without one.
    """

    line: int
    function: str
    dotted: str
    block_line: int


class Table(NamedTuple):
    """schema: empty where the statement names none."""

    schema: str
    name: str


class Statement(NamedTuple):
    """SQL in a text. problem: why it could not be read, or empty."""

    line: int
    uses: tuple[Table, ...]
    creates: tuple[Table, ...]
    problem: str


class State(NamedTuple):
    """A name at the top level with a value that can change in place. kind: such as `dict` or `counter`."""

    line: int
    name: str
    kind: str


class Mutation(NamedTuple):
    """A function changes a value in place, or rebinds a global name."""

    line: int
    function: str
    dotted: str


class Declaration(NamedTuple):
    """`Module(name, uses=[...])`. uses: None where it is computed."""

    line: int
    name: str
    uses: tuple[str, ...] | None
    uses_line: int


class Waiver(NamedTuple):
    """`# ramet: allow RM705 because ...`. line: the one that it speaks of. reason: may be empty."""

    line: int
    codes: tuple[str, ...]
    reason: str


class Problem(NamedTuple):
    """Why a file cannot be read as Python."""

    line: int
    text: str


class Facts(NamedTuple):
    """Lines are counted from 1."""

    imports: tuple[Import, ...] = ()
    unresolved: tuple[int, ...] = ()
    """Lines of dynamic imports whose target is computed."""
    uses: tuple[Use, ...] = ()
    calls: tuple[Call, ...] = ()
    statements: tuple[Statement, ...] = ()
    states: tuple[State, ...] = ()
    mutations: tuple[Mutation, ...] = ()
    declarations: tuple[Declaration, ...] = ()
    functions: tuple[str, ...] = ()
    """Qualified names of functions and methods."""
    names: tuple[str, ...] = ()
    """All that the top level binds, but for imports of the file's own package's files."""
    exposed: Mapping[str, int] = {}
    """Functions that are calls, decorated with `module.expose` or an HTTP verb, and their lines."""
    databases: tuple[str, ...] = ()
    """Names bound to `module.database()`."""
    at_import: tuple[str, ...] = ()
    """What is called while the file is imported, decorators included; dotted, as written."""
    waivers: tuple[Waiver, ...] = ()
    problem: Problem | None = None
