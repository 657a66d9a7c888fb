"""What people write. After most of it the same person looks at once whether it is there."""

from urllib.parse import quote

from conduit_load import reads
from conduit_load.memory import Article, Comment, Marks, Person, Value
from conduit_load.session import Session

TOPICS = [f"topic-{number}" for number in range(40)]
TITLES = ["On the art of", "Notes about", "Why I left", "Ten kinds of"]
PARAGRAPH = "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness. " * 8


async def register(session: Session) -> Person | None:
    """Somebody new; None where it failed."""
    name = session.world.unique("person").replace(" ", "-")
    person = Person(name, f"{name}@example.org", f"password of {name}")
    body = {"user": {"username": person.name, "email": person.email, "password": person.password}}
    status, value = await session.send(None, "POST", "/users", body, expected=[201])
    if not status:
        return None
    person.token = value["user"]["token"]
    session.world.add(person)
    return person


async def log_in(session: Session, who: Person) -> None:
    marks = Marks([who.bio])
    status, value = await session.send(None, "POST", "/users/login", {"user": {"email": who.email, "password": who.password}})
    if status:
        session.check(value["user"]["username"], [who.name], "the name of who signs in")
        session.check(value["user"]["bio"], marks.possible(who.bio), f"bio of {who.name}")
        who.token = value["user"]["token"]


async def tell_bio(session: Session, who: Person) -> None:
    bio = session.world.unique("I write about")
    who.bio.write(bio)
    status, _ = await session.send(who, "PUT", "/user", {"user": {"bio": bio}})
    if status:
        who.bio.acknowledge()
        await (reads.read_self(session, who) if session.chance.random() < 0.5 else reads.read_profile(session, who, who))


async def follow(session: Session, who: Person, other: Person, *, wanted: bool) -> None:
    value = who.follow(other)
    value.write(wanted)
    status, answer = await session.send(who, "POST" if wanted else "DELETE", f"/profiles/{other.name}/follow")
    if status:
        value.acknowledge()
        session.check(answer["profile"]["following"], [wanted], f"{who} follows {other.name}")
        await (reads.read_profile(session, who, other) if session.chance.random() < 0.5 else reads.read_feed(session, who))


async def publish(session: Session, who: Person) -> None:
    title = session.world.unique(session.chance.choice(TITLES))
    tags = session.chance.sample(TOPICS, session.chance.randint(0, 3))
    article = Article(who, title, f"About {title}", Value(f"{PARAGRAPH}\n{title}"), tags)
    who.articles.append(article)
    article.exists.write(True)
    body = {"title": title, "description": article.description, "body": article.body.last, "tagList": tags}
    status, value = await session.send(who, "POST", "/articles", {"article": body}, expected=[201])
    if not status:
        return
    article.slug = value["article"]["slug"]
    article.exists.acknowledge()
    if article.slug in session.world.by_slug:
        session.tally.note("twice", f"two articles have the slug {article.slug}")
    session.world.published(article)
    if session.chance.random() < 0.5:
        await reads.read_article(session, who, article)
    else:
        await reads.read_list_of(session, who, who)


async def rewrite(session: Session, who: Person, article: Article) -> None:
    text = f"{PARAGRAPH}\n{session.world.unique('version')}"
    article.body.write(text)
    status, value = await session.send(who, "PUT", f"/articles/{quote(article.slug)}", {"article": {"body": text}})
    if status:
        article.body.acknowledge()
        session.check(value["article"]["body"], [text], f"body of {article.slug} as it is changed")
        await reads.read_article(session, who, article)


async def rename(session: Session, who: Person, article: Article) -> None:
    title = session.world.unique("Once more on")
    article.is_moving = True
    status, value = await session.send(who, "PUT", f"/articles/{quote(article.slug)}", {"article": {"title": title}})
    if status:
        article.title = title
        session.world.moved(article, value["article"]["slug"])
        article.is_moving = False
        await reads.read_article(session, who, article)


async def delete(session: Session, who: Person, article: Article) -> None:
    article.exists.write(False)
    status, _ = await session.send(who, "DELETE", f"/articles/{quote(article.slug)}", expected=[200, 204])
    if status:
        article.exists.acknowledge()
        session.world.deleted(article)
        await reads.read_article(session, who, article)


async def like(session: Session, who: Person, article: Article, *, wanted: bool) -> None:
    value, marks, slug = who.like(article), Marks([article.exists]), article.slug
    value.write(wanted)
    path = f"/articles/{quote(slug)}/favorite"
    status, answer = await session.send(who, "POST" if wanted else "DELETE", path, expected=[200, 404])
    if status == 404:
        session.check_missing(article, slug, marks)
    elif status:
        value.acknowledge()
        session.check(answer["article"]["favorited"], [wanted], f"{who} likes {slug}")
        await (reads.read_article(session, who, article) if session.chance.random() < 0.5 else reads.read_likes(session, who))


async def comment(session: Session, who: Person, article: Article) -> None:
    made = Comment(article, who, session.world.unique("I agree with"))
    article.comments.append(made)
    made.exists.write(True)
    marks, slug = Marks([article.exists]), article.slug
    path = f"/articles/{quote(slug)}/comments"
    status, value = await session.send(who, "POST", path, {"comment": {"body": made.body}}, expected=[200, 201, 404])
    if status == 404:
        session.check_missing(article, slug, marks)
    elif status:
        made.number = value["comment"]["id"]
        made.exists.acknowledge()
        await reads.read_comments(session, who, article)


async def uncomment(session: Session, who: Person, made: Comment) -> None:
    made.exists.write(False)
    marks, slug = Marks([made.article.exists]), made.article.slug
    path = f"/articles/{quote(slug)}/comments/{made.number}"
    status, _ = await session.send(who, "DELETE", path, expected=[200, 204, 404])
    if status == 404:
        session.check_missing(made.article, slug, marks)
    elif status:
        made.exists.acknowledge()
        await reads.read_comments(session, who, made.article)
