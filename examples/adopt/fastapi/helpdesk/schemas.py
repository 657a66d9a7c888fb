import datetime

from pydantic import BaseModel, ConfigDict, Field


class TicketIn(BaseModel):
    subject: str = Field(min_length=3, max_length=200)
    customer: str


class TicketOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    subject: str
    customer: str
    is_open: bool
    created_at: datetime.datetime


class NoteIn(BaseModel):
    author: str
    text: str


class NoteOut(NoteIn):
    model_config = ConfigDict(from_attributes=True)

    id: int
