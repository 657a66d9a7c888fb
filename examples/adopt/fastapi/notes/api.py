import msgspec

from ramet import Module

module = Module("notes")
db = module.database()


class NoteIn(msgspec.Struct, frozen=True):
    author: str
    text: str


class Note(msgspec.Struct, frozen=True):
    id: int
    author: str
    text: str


@module.get("/tickets/{ticket_id}/notes")
async def index(ticket_id: int) -> list[Note]:
    rows = await db.read().fetch("SELECT id, author, text FROM notes WHERE ticket_id = $1 ORDER BY id", ticket_id)
    return [Note(*row) for row in rows]


@module.post("/tickets/{ticket_id}/notes", status=201)
async def create(ticket_id: int, note: NoteIn) -> Note:
    sql = "INSERT INTO notes (ticket_id, author, text) VALUES ($1, $2, $3) RETURNING id, author, text"
    return Note(*await db.write().fetchrow(sql, ticket_id, note.author, note.text))
