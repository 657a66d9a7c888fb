"""What `articles` does by itself."""

from conduit.articles import store
from conduit.articles.api import db, module
from conduit.social import api as social


@module.every("10s")
async def forget_deleted() -> None:
    """Have `social` forget the likes of deleted articles: where its call failed at the time, and those that came just after."""
    ids = [row["article_id"] for row in await db.read().fetch(store.DELETED)]
    if ids:
        await social.forget_articles(ids)
        await db.write().execute("DELETE FROM deleted WHERE article_id = ANY($1::bigint[])", ids)
