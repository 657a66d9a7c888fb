import msgspec

from ramet import Module

module = Module("suggestions")
db = module.database()


class Wish(msgspec.Struct, frozen=True):
    title: str


class Suggestion(msgspec.Struct, frozen=True):
    id: int
    title: str


@module.get("/api/suggestions/")
async def index() -> list[Suggestion]:
    return [Suggestion(*row) for row in await db.read().fetch("SELECT id, title FROM suggestions ORDER BY id")]


@module.post("/api/suggestions/", status=201)
async def create(wish: Wish) -> Suggestion:
    row = await db.write().fetchrow("INSERT INTO suggestions (title) VALUES ($1) RETURNING id, title", wish.title)
    return Suggestion(*row)
