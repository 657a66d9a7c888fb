"""The SQL of articles and comments. Each function is one statement, and one round trip."""

from collections.abc import Sequence
from typing import Any

from conduit.articles import slugs
from ramet.data.database import Database
from ramet.data.errors import ForeignKeyViolation, UniqueViolation


def at(column: str) -> str:
    """A time as clients get it: ISO 8601 in UTC with milliseconds."""
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""


SUMMARY = f"id, slug, title, description, tag_list, author_id, {at('created_at')}, {at('updated_at')}"
WHOLE = f"{SUMMARY}, body"
_NEW_TAGS = "new_tags AS (INSERT INTO tags SELECT DISTINCT unnest({tags}) AS name ORDER BY name ON CONFLICT DO NOTHING)"
"""Sorted, so that two that write the same tags wait for each other in one order."""

GET = f"SELECT {WHOLE} FROM articles WHERE slug = $1"  # noqa: S608  (here and below: our own constants)
INSERT = f"""
    WITH {_NEW_TAGS.format(tags="$5::text[]")}
    INSERT INTO articles (slug, title, description, body, tag_list, author_id) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (slug) DO NOTHING RETURNING {WHOLE}
"""  # noqa: S608
UPDATE = f"""
    WITH {_NEW_TAGS.format(tags="$7::text[]")}
    UPDATE articles SET
        slug = coalesce($3, slug),
        title = coalesce($4, title),
        description = coalesce($5, description),
        body = coalesce($6, body),
        tag_list = coalesce($7, tag_list),
        updated_at = greatest(now(), updated_at + interval '1 millisecond')
    WHERE id = $1 AND author_id = $2
    RETURNING {WHOLE}
"""  # noqa: S608

DELETE = "WITH gone AS (DELETE FROM articles WHERE id = $1 RETURNING id) INSERT INTO deleted (article_id) SELECT id FROM gone"
DELETED = "SELECT article_id FROM deleted WHERE deleted_at < now() - interval '1 minute' ORDER BY deleted_at LIMIT 1000"
"""Long enough ago that no request is under way which still knew the article."""

COMMENT = f"c.id, {at('c.created_at')}, c.body, c.author_id"
GET_COMMENTS = f"""
    SELECT {COMMENT} FROM articles a LEFT JOIN comments c ON c.article_id = a.id WHERE a.slug = $1 ORDER BY c.id
"""  # noqa: S608
INSERT_COMMENT = f"""
    INSERT INTO comments AS c (article_id, author_id, body) SELECT id, $2, $3 FROM articles WHERE slug = $1 RETURNING {COMMENT}
"""  # noqa: S608
DELETE_COMMENT = """
    WITH found AS (
        SELECT c.id, c.author_id FROM comments c JOIN articles a ON a.id = c.article_id WHERE a.slug = $1 AND c.id = $2
    ), deleted AS (
        DELETE FROM comments WHERE id = (SELECT id FROM found WHERE author_id = $3)
    )
    SELECT author_id FROM found
"""


async def insert(db: Database, title: str, description: str, body: str, tags: Sequence[str], author_id: int) -> Any:
    row = None
    free = slugs.slugs_for(title)
    while row is None:
        row = await db.write().fetchrow(INSERT, next(free), title, description, body, tags, author_id)
    return row


async def update(
    db: Database, article_id: int, author_id: int, title: str | None, description: str | None, body: str | None, tags: Any
) -> Any:
    """None: leave it as it is. A new title brings a new slug. None is returned where it is gone."""
    for slug in slugs.slugs_for(title) if title is not None else [None]:
        try:
            return await db.write().fetchrow(UPDATE, article_id, author_id, slug, title, description, body, tags)
        except UniqueViolation:
            continue
    return None


def page(*, tag: bool, authors: bool, ids: bool) -> str:
    """The statement for a page of articles, with the number of all; one row of nothing where the page is empty.

    $1, $2: limit and offset. $3, $4, $5, of those that are asked for: a tag, the ids of authors, those of articles.
    """
    asked = {"tag_list @> ARRAY[{}]::text[]": tag, "author_id = ANY({}::bigint[])": authors, "id = ANY({}::bigint[])": ids}
    wanted = [condition for condition, is_asked in asked.items() if is_asked]
    where = " AND ".join(condition.format(f"${number}") for number, condition in enumerate(wanted, 3)) or "true"
    return f"""
        SELECT total, a.* FROM (SELECT count(*) AS total FROM articles WHERE {where}) AS counted
        LEFT JOIN LATERAL (
            SELECT {SUMMARY} FROM articles WHERE {where} ORDER BY created_at DESC, id DESC LIMIT $1 OFFSET $2
        ) AS a ON true
    """  # noqa: S608


async def insert_comment(db: Database, slug: str, author_id: int, body: str) -> Any:
    """None where there is no such article, or no more."""
    try:
        return await db.write().fetchrow(INSERT_COMMENT, slug, author_id, body)
    except ForeignKeyViolation:
        return None
