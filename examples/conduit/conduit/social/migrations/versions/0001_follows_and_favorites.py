"""Follows and favorites"""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE follows (
            follower_id bigint NOT NULL,
            followed_id bigint NOT NULL,
            PRIMARY KEY (follower_id, followed_id)
        );
        CREATE TABLE favorites (
            article_id bigint NOT NULL,
            user_id bigint NOT NULL,
            PRIMARY KEY (article_id, user_id)
        );
        CREATE INDEX favorites_of_user ON favorites (user_id, article_id)
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE follows, favorites")
