"""items"""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE items (
            sku text PRIMARY KEY,
            title text NOT NULL,
            price_cents integer NOT NULL CHECK (price_cents >= 0)
        )
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE items")
