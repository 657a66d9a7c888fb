"""What keeps working together from breaking apart: rules that a local call could break unnoticed.

In strict mode (development, tests) breaking one is an error where it happens; in production it is counted.
"""

from ramet.data.transactions import is_in_transaction
from ramet.errors import CallInTransaction, UndeclaredUse
from ramet.model.contract import CallContract
from ramet.observe.record import Counter
from ramet.wire.context import Context


def check(context: Context, contract: CallContract) -> None:
    """Raises UndeclaredUse or CallInTransaction. Code outside of all modules may call any; a module may call itself."""
    face = context.face
    module = contract.module
    if face.name == module:
        return
    if face.name and module not in face.uses:
        raise UndeclaredUse(
            f"module `{face.name}` calls `{module}`, which it does not declare; apart it would be refused",
            hint=f"Module({face.name!r}, uses=[..., {module!r}])",
        )
    if is_in_transaction():
        caller = face.name or "code outside of modules"
        raise CallInTransaction(
            f"{contract.qualified} is called inside a transaction of `{caller}`; apart, the transaction would hold its locks for"
            " the time of the network, and could not undo what the call did",
            hint="make the call before the transaction, or publish an event in it",
        )


def count(context: Context, contract: CallContract, counter: Counter) -> None:
    if is_in_transaction() and context.face.name != contract.module:
        counter.value += 1
