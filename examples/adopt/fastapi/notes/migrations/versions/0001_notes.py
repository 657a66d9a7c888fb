"""notes"""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE notes (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            ticket_id bigint NOT NULL, author text NOT NULL, text text NOT NULL
        )
        """
    )
    op.execute("CREATE INDEX ON notes (ticket_id)")
