import logging
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from sqlalchemy import select
from sqlalchemy.orm import Session

from helpdesk.database import get_session
from helpdesk.models import Ticket
from helpdesk.schemas import TicketIn, TicketOut

router = APIRouter(prefix="/tickets", tags=["tickets"])
logger = logging.getLogger(__name__)
Database = Annotated[Session, Depends(get_session)]


def find(ticket_id: int, session: Database) -> Ticket:
    ticket = session.get(Ticket, ticket_id)
    if ticket is None:
        raise HTTPException(404, f"there is no ticket {ticket_id}")
    return ticket


Found = Annotated[Ticket, Depends(find)]


@router.post("", status_code=201)
def create(ticket: TicketIn, session: Database) -> TicketOut:
    row = Ticket(**ticket.model_dump())
    session.add(row)
    session.commit()
    logger.info("ticket %d opened for %s", row.id, row.customer)
    return TicketOut.model_validate(row)


@router.get("")
def index(session: Database, request: Request, page: int = 1) -> list[TicketOut]:
    size = request.app.state.settings.page_size
    rows = session.scalars(select(Ticket).order_by(Ticket.id.desc()).offset((page - 1) * size).limit(size))
    return [TicketOut.model_validate(row) for row in rows]


@router.get("/{ticket_id}")
def show(ticket: Found) -> TicketOut:
    return TicketOut.model_validate(ticket)


@router.post("/{ticket_id}/close")
def close(ticket: Found, session: Database) -> TicketOut:
    ticket.is_open = False
    session.commit()
    return TicketOut.model_validate(ticket)
