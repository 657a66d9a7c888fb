"""What can go wrong with data, in one tree; a driver's own errors are only ever the cause of one of these.

    RametError
    ├── DatabaseError                 RM500  the world: the server refused, or could not be reached. Has the `sqlstate`
    │   ├── ConstraintViolation       RM501  a constraint refused it. Has `constraint`, `table`, `column`
    │   │   ├── UniqueViolation       RM502
    │   │   ├── ForeignKeyViolation   RM503
    │   │   ├── NotNullViolation      RM504
    │   │   ├── CheckViolation        RM505
    │   │   └── ExclusionViolation    RM506
    │   ├── TransactionConflict       RM507  another transaction was in the way: run it again, or let `db.run` do it
    │   │   └── SchemaChanged         RM508  a migration changed what a prepared statement returns
    │   ├── TransactionAborted        RM509  nothing was committed, because a statement before had failed
    │   ├── InsufficientPrivilege     RM510  the role may not do it: a foreign table, most likely
    │   ├── ReadOnly                  RM511  a write in `db.read()`
    │   ├── LockNotAvailable          RM512  a lock was not to be had within `lock_timeout`, or at once
    │   ├── StatementRefused          RM513  anything else that the server, or the driver before it, refuses
    │   ├── DatabaseUnavailable       RM514  no connection, or a lost one
    │   ├── Moved                     RM518  another shard owns the key by now: nothing was written
    │   └── PoolExhausted             RM515  no free connection within the checkout timeout. Names who holds them
    ├── StatementDeadline             RM516  a ramet.DeadlineExceeded: the time of the work around was up
    ├── OutcomeUnknown                RM517  a CallError: a `once` call ran under this key, and its outcome was not stored
    ├── NoShard                       RM519  no shard has the key: a range is missing
    ├── UsageError                           your code or your configuration
    │   ├── DatabaseNotBound          RM520  a database was used where no instance has opened it
    │   ├── KeyMisuse                 RM521  a key was left out, or given where none is declared. A TypeError too
    │   ├── BlockMisuse               RM522  a block was used after its end, inside of itself, or by two tasks at once
    │   ├── OverBudget                RM523  a ConfigError: more connections are wanted than the server has
    │   └── PoolerUnfit               RM524  a ConfigError: a pooler where a session is needed, or one without the role's settings
    ├── MigrationFailed               RM531  has `revision` and `statement`
    ├── MigrationsPending             RM532  the database is behind the code; an instance does not start
    ├── MigrationLocked               RM533  another migrator, or a long transaction, was in the way for too long
    ├── MigrationRefused              RM534  a contract now would break what runs, or cannot be taken back
    ├── OwnershipOver                 RM541  a newer epoch was taken: this instance does not own it any more
    └── MaterializedMismatch          RM551  the database has not what a materialised result declares; an instance does not start

`may_have_run` of a DatabaseError: False if the failed statement, or its block, has no effect for sure.
"""

from ramet.errors import CallError, ConfigError, DeadlineExceeded, NotBound, RametError, UsageError


class DatabaseError(RametError):
    """sqlstate: five characters, empty where the server did not speak. detail: the server's DETAIL; may hold values of rows."""

    code = "RM500"

    def __init__(
        self, message: str, *, sqlstate: str = "", detail: str = "", may_have_run: bool = False, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.sqlstate = sqlstate
        self.detail = detail
        self.may_have_run = may_have_run


class ConstraintViolation(DatabaseError):
    code = "RM501"

    def __init__(
        self, message: str, *, sqlstate: str, detail: str = "", constraint: str = "", table: str = "", column: str = ""
    ) -> None:
        super().__init__(message, sqlstate=sqlstate, detail=detail)
        self.constraint = constraint
        self.table = table
        self.column = column


class UniqueViolation(ConstraintViolation):
    code = "RM502"


class ForeignKeyViolation(ConstraintViolation):
    code = "RM503"


class NotNullViolation(ConstraintViolation):
    code = "RM504"


class CheckViolation(ConstraintViolation):
    code = "RM505"


class ExclusionViolation(ConstraintViolation):
    code = "RM506"


class TransactionConflict(DatabaseError):
    code = "RM507"


class SchemaChanged(TransactionConflict):
    code = "RM508"


class TransactionAborted(DatabaseError):
    code = "RM509"


class InsufficientPrivilege(DatabaseError):
    code = "RM510"


class ReadOnly(DatabaseError):
    code = "RM511"


class LockNotAvailable(DatabaseError):
    code = "RM512"


class StatementRefused(DatabaseError):
    code = "RM513"


class DatabaseUnavailable(DatabaseError):
    code = "RM514"


class PoolExhausted(DatabaseError):
    code = "RM515"


class StatementDeadline(DeadlineExceeded):
    code = "RM516"


class OutcomeUnknown(CallError):
    code = "RM517"


class Moved(DatabaseError):
    """The server itself refused the write, before it did anything: its fence is up, since another shard is to own the key."""

    code = "RM518"


class NoShard(RametError):
    code = "RM519"


class DatabaseNotBound(NotBound):
    code = "RM520"


class KeyMisuse(UsageError, TypeError):
    code = "RM521"


class BlockMisuse(UsageError):
    code = "RM522"


class OverBudget(ConfigError):
    code = "RM523"


class PoolerUnfit(ConfigError):
    code = "RM524"


class MigrationFailed(RametError):
    """revision: the one that failed; those before it are applied. statement: the text that the server refused, empty if it
    was none."""

    code = "RM531"

    def __init__(
        self, message: str, *, revision: str, statement: str = "", where: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.revision = revision
        self.statement = statement


class MigrationsPending(RametError):
    code = "RM532"


class MigrationLocked(RametError):
    code = "RM533"


class MigrationRefused(RametError):
    code = "RM534"


class OwnershipOver(RametError):
    code = "RM541"


class MaterializedMismatch(RametError):
    code = "RM551"
