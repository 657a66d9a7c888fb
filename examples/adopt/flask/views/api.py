import msgspec

from ramet import Module

module = Module("views")
db = module.database()


class Views(msgspec.Struct, frozen=True):
    page: str
    views: int


@module.get("/wiki/api/views/{name}")
async def look(name: str) -> Views:
    return Views(name, await db.read().fetchval("SELECT count FROM views WHERE page = $1", name) or 0)


@module.post("/wiki/api/views/{name}")
async def count(name: str) -> Views:
    sql = "INSERT INTO views VALUES ($1, 1) ON CONFLICT (page) DO UPDATE SET count = views.count + 1 RETURNING page, count"
    return Views(*await db.write().fetchrow(sql, name))
