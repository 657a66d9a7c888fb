"""A migrator that is killed: folder, DSN, schema and the revision to reach."""

import asyncio
import sys
from pathlib import Path

from ramet.data import stages
from ramet.data.address import Address

if __name__ == "__main__":
    folder, dsn, schema, last = sys.argv[1:]
    asyncio.run(stages.apply("orders", Path(folder), [(0, Address(dsn=dsn, schema=schema))], last))
