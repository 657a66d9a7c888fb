"""Three endpoints of Conduit as most Python teams would write them today: FastAPI, pydantic, SQLAlchemy on asyncpg, one process.

Written to be fast within that: one query for each need and no lazy loading, columns in place of entities, reads without a
transaction, a pool, uvloop and httptools, no access log. It uses the tables, the indexes and the tokens of `examples/conduit`,
and joins freely across what are modules there.
"""
