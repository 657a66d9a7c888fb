"""Deleted articles, until their likes are forgotten"""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE deleted (
            article_id bigint PRIMARY KEY,
            deleted_at timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX deleted_oldest ON deleted (deleted_at)
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE deleted")
