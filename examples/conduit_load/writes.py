"""What people write. After most of it the same person looks at once whether it is there."""

from urllib.parse import quote

from conduit_load import reads
from conduit_load.memory import PEOPLE_KEY, TAGS_KEY, Article, Comment, Person
from conduit_load.session import Reply, Session, show_nothing
from conduit_load.sight import PARAGRAPH, TOPICS, Sight, expect

TITLES = ["On the art of", "Notes about", "Why I left", "Ten kinds of"]


async def register(session: Session) -> Person | None:
    """Somebody new; None where it failed."""
    name = session.world.unique("person").replace(" ", "-")
    person = Person(name, f"{name}@example.org", f"password of {name}")
    body = {"user": {"username": person.name, "email": person.email, "password": person.password}}
    reply = await session.send(None, "POST", "/users", _show_token, body, expected=[201], adds={PEOPLE_KEY: name})
    if reply is None:
        return None
    person.token = reply.value["user"]["token"]
    session.world.add(person)
    return person


def _show_token(reply: Reply, _: Sight) -> None:
    expect(bool(reply.value["user"]["token"]), True, "a token")


async def log_in(session: Session, who: Person) -> None:
    def show(reply: Reply, sight: Sight) -> None:
        _show_token(reply, sight)
        sight.person(who, reply.value["user"])

    body = {"user": {"email": who.email, "password": who.password}}
    reply = await session.send(who, "POST", "/users/login", show, body)
    if reply is not None:
        who.token = reply.value["user"]["token"]


async def tell_bio(session: Session, who: Person) -> None:
    bio = session.world.unique("I write about")

    def show(reply: Reply, _: Sight) -> None:
        expect(reply.value["user"]["bio"], bio, f"bio of {who.name} as it is changed")

    reply = await session.send(who, "PUT", "/user", show, {"user": {"bio": bio}}, sets={who.bio_key: bio})
    if reply is not None:
        await (reads.read_self(session, who) if session.chance.random() < 0.5 else reads.read_profile(session, who, who))


async def follow(session: Session, who: Person, other: Person, *, wanted: bool) -> None:
    def show(reply: Reply, _: Sight) -> None:
        expect(reply.value["profile"]["following"], wanted, f"{who} follows {other.name}, as it is changed")

    known, effect = who.follow(other), {who.follows_key: other.name}
    known.ask(wanted)
    path = f"/profiles/{other.name}/follow"
    if wanted:
        reply = await session.send(who, "POST", path, show, adds=effect)
    else:
        reply = await session.send(who, "DELETE", path, show, removes=effect)
    if reply is not None:
        known.told()
        await (reads.read_profile(session, who, other) if session.chance.random() < 0.5 else reads.read_feed(session, who))


async def publish(session: Session, who: Person) -> None:
    title, version = session.world.unique(session.chance.choice(TITLES)), session.world.unique("version")
    article = Article(who, title, session.chance.sample(TOPICS, session.chance.randint(0, 3)))
    session.world.planned(article)
    article.exists.ask(True)
    body = {"title": title, "description": article.description, "body": f"{PARAGRAPH}\n{version}", "tagList": article.tags}
    reply = await session.send(
        who,
        "POST",
        "/articles",
        lambda reply, sight: sight.article(article, reply.value["article"]),
        {"article": body},
        expected=[201],
        sets={article.title_key: title, article.body_key: version},
        adds={who.articles_key: article.description, TAGS_KEY: article.tags},
    )
    if reply is None:
        return
    article.named(reply.value["article"]["slug"])
    article.exists.told()
    session.world.published(article)
    if session.chance.random() < 0.5:
        await reads.read_article(session, who, article)
    else:
        await reads.read_list_of(session, who, who)


async def rewrite(session: Session, who: Person, article: Article) -> None:
    version = session.world.unique("version")
    text = f"{PARAGRAPH}\n{version}"

    def show(reply: Reply, sight: Sight) -> None:
        expect(reply.value["article"]["body"], text, f"body of {article.slug} as it is changed")
        sight.article(article, reply.value["article"])

    body = {"article": {"body": text}}
    reply = await session.send(who, "PUT", f"/articles/{quote(article.slug)}", show, body, sets={article.body_key: version})
    if reply is not None:
        await reads.read_article(session, who, article)


async def rename(session: Session, who: Person, article: Article) -> None:
    title = session.world.unique("Once more on")

    def show(reply: Reply, _: Sight) -> None:
        expect(reply.value["article"]["title"], title, f"title of {article.slug} as it is changed")
        expect(bool(reply.value["article"]["slug"]), True, "a slug")

    article.is_moving = True
    body = {"article": {"title": title}}
    reply = await session.send(who, "PUT", f"/articles/{quote(article.slug)}", show, body, sets={article.title_key: title})
    if reply is not None:
        session.world.moved(article, reply.value["article"]["slug"])
        article.is_moving = False
        await reads.read_article(session, who, article)


async def delete(session: Session, who: Person, article: Article) -> None:
    article.exists.ask(False)
    path, effect = f"/articles/{quote(article.slug)}", {who.articles_key: article.description}
    reply = await session.send(who, "DELETE", path, show_nothing, expected=[200, 204], removes=effect)
    if reply is not None:
        article.exists.told()
        session.world.deleted(article)
        await reads.read_article(session, who, article)


async def like(session: Session, who: Person, article: Article, *, wanted: bool) -> None:
    missing = reads.missing_at(article)

    def show(reply: Reply, sight: Sight) -> None:
        if reply.status == 404:
            missing(sight)
        elif article.exists.is_so:  # else it may have been deleted between the like and the answer
            expect(reply.value["article"]["favorited"], wanted, f"{who} likes {article.slug}, as it is changed")

    known, effect = who.like(article), {article.likes_key: who.name}
    was = known.is_so
    known.ask(wanted)
    path = f"/articles/{quote(article.slug)}/favorite"
    if wanted:
        reply = await session.send(who, "POST", path, show, expected=[200, 404], adds=effect)
    else:
        reply = await session.send(who, "DELETE", path, show, expected=[200, 404], removes=effect)
    if reply is None:
        return
    known.told()
    if reply.status == 404:
        known.is_so = was
    else:
        await (reads.read_article(session, who, article) if session.chance.random() < 0.5 else reads.read_likes(session, who))


async def comment(session: Session, who: Person, article: Article) -> None:
    made = Comment(article, who, session.world.unique("I agree with"))
    missing = reads.missing_at(article)

    def show(reply: Reply, sight: Sight) -> None:
        if reply.status == 404:
            missing(sight)
        else:
            expect(type(reply.value["comment"]["id"]), int, "type of a comment's id")

    article.comments.append(made)
    made.exists.ask(True)
    path, effect = f"/articles/{quote(article.slug)}/comments", {article.comments_key: made.body}
    body = {"comment": {"body": made.body}}
    reply = await session.send(who, "POST", path, show, body, expected=[200, 201, 404], adds=effect)
    if reply is not None and reply.status != 404:
        made.number = reply.value["comment"]["id"]
        made.exists.told()
        await reads.read_comments(session, who, article)


async def uncomment(session: Session, who: Person, made: Comment) -> None:
    missing = reads.missing_at(made.article)

    def show(reply: Reply, sight: Sight) -> None:
        if reply.status == 404:
            missing(sight)

    made.exists.ask(False)
    path, effect = f"/articles/{quote(made.article.slug)}/comments/{made.number}", {made.article.comments_key: made.body}
    reply = await session.send(who, "DELETE", path, show, expected=[200, 204, 404], removes=effect)
    if reply is not None and reply.status != 404:
        made.exists.told()
        await reads.read_comments(session, who, made.article)
