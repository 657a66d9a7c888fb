from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from tickets.database import Base


class Ticket(Base):
    __tablename__ = "tickets"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    priority: Mapped[str]


class Notice(Base):
    __tablename__ = "notices"

    id: Mapped[int] = mapped_column(primary_key=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
