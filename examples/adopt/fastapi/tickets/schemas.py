from pydantic import BaseModel, ConfigDict, Field


class TicketIn(BaseModel):
    text: str = Field(min_length=1, max_length=500)


class TicketOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    text: str
    priority: str
