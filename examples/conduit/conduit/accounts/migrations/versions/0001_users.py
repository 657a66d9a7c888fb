"""Users, and the key that signs their tokens"""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE users (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            username text NOT NULL CONSTRAINT users_username UNIQUE,
            email text NOT NULL,
            password text NOT NULL,
            bio text,
            image text,
            created_at timestamptz NOT NULL DEFAULT now()
        );
        CREATE UNIQUE INDEX users_email ON users (lower(email));
        CREATE TABLE signing_key (
            is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
            pem text NOT NULL
        )
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE users, signing_key")
