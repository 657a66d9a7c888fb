"""The steps that change the schemas of modules, as data; `operate.steps` takes them. They leave the system as it is. Pure.

Expand  Backfill  Contract  Retract
"""

from ramet.model.step import Step


class _Change(Step, frozen=True, kw_only=True):
    """A stage of a module's migrations, by id and in order, on all of its shards."""

    module: str
    revisions: tuple[str, ...]
    shards: int = 1

    @property
    def where(self) -> str:
        return self.module if self.shards == 1 else f"{self.module} on {self.shards} shards"


class Expand(_Change, frozen=True, kw_only=True):
    """Add to a schema what a version to come needs."""

    def describe(self) -> str:
        return f"expand the schema of {self.where}: {', '.join(self.revisions)}"


class Backfill(_Change, frozen=True, kw_only=True):
    """Fill in what an expand added."""

    def describe(self) -> str:
        return f"fill in rows of {self.where}: {', '.join(self.revisions)}"


class Contract(_Change, frozen=True, kw_only=True):
    """Take away what no version that runs needs any more."""

    def describe(self) -> str:
        return f"contract the schema of {self.where}: {', '.join(self.revisions)}"

    @property
    def is_irreversible(self) -> bool:
        return True


class Retract(_Change, frozen=True, kw_only=True):
    """Take migrations back that no version that runs knows."""

    def describe(self) -> str:
        return f"take back from the schema of {self.where}: {', '.join(self.revisions)}"


SchemaStep = Expand | Backfill | Contract | Retract
