from fastapi import APIRouter

from helpdesk.models import Note
from helpdesk.routers.tickets import Database, Found
from helpdesk.schemas import NoteIn, NoteOut

router = APIRouter(prefix="/tickets/{ticket_id}/notes", tags=["notes"])


@router.get("")
def index(ticket: Found) -> list[NoteOut]:
    return [NoteOut.model_validate(note) for note in ticket.notes]


@router.post("", status_code=201)
def create(note: NoteIn, ticket: Found, session: Database) -> NoteOut:
    row = Note(**note.model_dump())
    ticket.notes.append(row)
    session.commit()
    return NoteOut.model_validate(row)


@router.delete("", status_code=204)
def forget(ticket: Found, session: Database) -> None:
    ticket.notes.clear()
    session.commit()
