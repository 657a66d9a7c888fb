"""What each reader has seen of the own feed"""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE readings (
            reader_id bigint PRIMARY KEY,
            articles bigint NOT NULL,
            seen_at timestamptz NOT NULL DEFAULT now()
        )
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE readings")
