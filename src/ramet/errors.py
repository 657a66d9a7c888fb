"""Every error that Ramet raises, in one tree with three roots: your code, the world, our bug.

    RametError
    ├── UsageError                your code or your configuration
    │   ├── DeclarationError      RM101  a module, call or failure is declared in a way that cannot work
    │   ├── UnwireableType        RM102  a parameter or result whose type cannot cross the wire
    │   ├── UndeclaredUse         RM103  a module calls another one that its `uses` does not list
    │   ├── NotBound              RM104  something was used that no running part has opened
    │   ├── CallInTransaction     RM105  a call to another module inside a transaction
    │   ├── ConfigError           RM201  a setting or a configuration file
    │   ├── NothingRuns           RM202  no controller of this folder answers
    │   └── RecordingError        RM211  samples of a gate that cannot be judged
    ├── CallError                 the world: a call did not bring a result. Says whether it `may_have_run`
    │   ├── BadArgument           RM301  an argument does not fit the signature
    │   ├── DeadlineExceeded      RM302
    │   ├── Unavailable           RM303  no endpoint took the call
    │   ├── ConnectionLost        RM304  the peer went away
    │   ├── Overloaded            RM305  the callee shed the call
    │   ├── NotAllowed            RM306  the callee does not accept this caller
    │   ├── ContractMismatch      RM307  caller and callee have incompatible signatures
    │   ├── BadAnswer             RM308  the result does not fit the signature
    │   └── RemoteError           RM309  the callee raised something that its `raises` does not list
    ├── ProtocolError             RM321  the world: a peer sent what the protocol does not allow
    ├── CertificateError          RM331  the world: a certificate or key is missing, expired or not ours
    ├── PlanError                 RM360  a change of the running system
    │   ├── PlanImpossible        RM361  it cannot work; says every reason, and nothing was changed
    │   ├── PlanBusy              RM362  another plan runs, or another controller does
    │   ├── StepFailed            RM363  a step could not be taken; what was done is undone
    │   └── JournalUnreadable     RM364  the journal is of a newer version
    └── InternalError             RM901  our bug; please report it

`Failure` (`ramet.model.failure`) is not in this tree: it is a value of the user's own domain.
"""

from typing import Any, ClassVar


class RametError(Exception):
    """Base of all. `where` says file and line or path, `hint` is the next command or the code to paste.

    Both are attached as notes (PEP 678), so that a plain traceback shows them.
    """

    code: ClassVar[str] = "RM000"

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint
        if where:
            self.add_note(f"at: {where}")
        if hint:
            self.add_note(f"hint: {hint}")

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]"

    def __reduce__(self) -> tuple[Any, ...]:
        # By default the constructor would get the message alone, and an error that cannot be read back breaks a process pool.
        return _remade, (type(self), self.args, self.__dict__)


def _remade(cls: type[RametError], args: tuple[Any, ...], state: dict[str, Any]) -> RametError:
    error = cls.__new__(cls, *args)
    error.__dict__.update(state)
    return error


class UsageError(RametError):
    code = "RM100"


class DeclarationError(UsageError):
    code = "RM101"


class UnwireableType(DeclarationError):
    code = "RM102"


class UndeclaredUse(UsageError):
    code = "RM103"


class NotBound(UsageError):
    code = "RM104"


class CallInTransaction(UsageError):
    code = "RM105"


class ConfigError(UsageError):
    code = "RM201"


class NothingRuns(UsageError):
    code = "RM202"


class RecordingError(UsageError):
    code = "RM211"


class CallError(RametError):
    """A call did not bring a result.

    may_have_run:
        False if the callee provably did not start the call, so that it is safe to call again. True does NOT mean that
        it ran: it may have run in full, in part, or not at all.
    """

    code = "RM300"

    def __init__(
        self,
        message: str,
        *,
        may_have_run: bool,
        call: str | None = None,
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.may_have_run = may_have_run
        self.call = call
        """Qualified name of the call, `module.name`; None where the error is of a whole connection."""

    def __str__(self) -> str:
        ran = "may have run" if self.may_have_run else "did not run"
        named = f"{self.call}: " if self.call else ""
        return f"{named}{self.message} ({ran}) [{self.code}]"


class BadArgument(CallError):
    code = "RM301"


class DeadlineExceeded(CallError):
    code = "RM302"


class Unavailable(CallError):
    code = "RM303"


class ConnectionLost(CallError):
    code = "RM304"


class Overloaded(CallError):
    code = "RM305"


class NotAllowed(CallError):
    code = "RM306"


class ContractMismatch(CallError):
    code = "RM307"


class BadAnswer(CallError):
    code = "RM308"


class RemoteError(CallError):
    """The callee raised an exception that is not among its declared failures. The same together and apart.

    type_name: the qualified name of the callee's exception class. trace_id: 32 hex digits; finds its log line.
    """

    code = "RM309"

    def __init__(self, message: str, *, type_name: str, trace_id: str, call: str | None = None, hint: str | None = None) -> None:
        super().__init__(f"{type_name}: {message}", may_have_run=True, call=call, hint=hint)
        self.type_name = type_name
        self.detail = message
        self.trace_id = trace_id
        self.add_note(f"trace: {trace_id}")


class ProtocolError(RametError):
    """A peer broke the protocol. `name` is the refusal's name on the wire, such as `frame-too-large`."""

    code = "RM321"

    def __init__(self, name: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(f"{name}: {message}", hint=hint)
        self.name = name
        self.detail = message


class CertificateError(RametError):
    code = "RM331"


class PlanError(RametError):
    code = "RM360"


class PlanImpossible(PlanError):
    code = "RM361"


class PlanBusy(PlanError):
    code = "RM362"


class StepFailed(PlanError):
    code = "RM363"


class JournalUnreadable(PlanError):
    code = "RM364"


class InternalError(RametError):
    code = "RM901"
