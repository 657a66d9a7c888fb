from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, HTTPException
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tickets.database import get_session, make_session
from tickets.models import Notice, Ticket
from tickets.priority import classify
from tickets.schemas import TicketIn, TicketOut

router = APIRouter()
Db = Annotated[Session, Depends(get_session)]


def notify(ticket_id: int) -> None:
    with make_session.begin() as session:
        session.add(Notice(ticket_id=ticket_id))


@router.post("/tickets", status_code=201, response_model=TicketOut)
def create(ticket: TicketIn, session: Db, tasks: BackgroundTasks) -> Ticket:
    made = Ticket(text=ticket.text, priority=classify(ticket.text))
    session.add(made)
    session.commit()
    tasks.add_task(notify, made.id)
    return made


@router.get("/tickets/{ticket_id}", response_model=TicketOut)
def read(ticket_id: int, session: Db) -> Ticket:
    ticket = session.get(Ticket, ticket_id)
    if ticket is None:
        raise HTTPException(404, "no such ticket")
    return ticket


@router.get("/notices/{ticket_id}")
def notices(ticket_id: int, session: Db) -> int:
    return session.scalar(select(func.count()).where(Notice.ticket_id == ticket_id)) or 0


@router.get("/priority")
def priority(text: str) -> dict[str, str]:
    return {"priority": classify(text)}
