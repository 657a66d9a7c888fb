"""Articles, tags and comments"""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE articles (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            slug text NOT NULL CONSTRAINT articles_slug UNIQUE,
            title text NOT NULL,
            description text NOT NULL,
            body text NOT NULL,
            tag_list text[] NOT NULL,
            author_id bigint NOT NULL,
            created_at timestamptz(3) NOT NULL DEFAULT now(),
            updated_at timestamptz(3) NOT NULL DEFAULT now()
        );
        CREATE INDEX articles_newest ON articles (created_at DESC, id DESC);
        CREATE INDEX articles_of_author ON articles (author_id, created_at DESC, id DESC);
        CREATE INDEX articles_tagged ON articles USING gin (tag_list);
        CREATE TABLE tags (
            name text PRIMARY KEY
        );
        CREATE TABLE comments (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            article_id bigint NOT NULL REFERENCES articles ON DELETE CASCADE,
            author_id bigint NOT NULL,
            body text NOT NULL,
            created_at timestamptz(3) NOT NULL DEFAULT now()
        );
        CREATE INDEX comments_of_article ON comments (article_id, id)
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE articles, tags, comments")
