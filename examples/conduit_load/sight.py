"""What one answer shows, in the words of the history: Conduit's JSON in, keys with what was seen of them out.

Raises Wrong for what no state of Conduit explains, such as an article with another's tags. Whether what is shown is lost, doubled
or too old is not asked here.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from conduit_load.memory import PEOPLE_KEY, TAGS_KEY, Article, Person, World
from ramet.testing.history import Seen, Some, Value

TOPICS = [f"topic-{number}" for number in range(40)]
PARAGRAPH = "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness. " * 8
"""All bodies begin with it, and a last line follows that no other has: the version."""


class Wrong(Exception):
    """An answer that the request does not explain."""


def expect(seen: Any, expected: Any, what: str) -> None:
    if seen != expected:
        raise Wrong(f"{what}: {seen!r} in place of {expected!r}")


class Sight:
    """who: whose request it is; None for somebody who has not signed in."""

    def __init__(self, world: World, who: Person | None) -> None:
        self._world = world
        self._who = who
        self._values: dict[str, Value] = {}
        self._listed: dict[str, list[str]] = {}
        self._complete: set[str] = set()
        self._has: dict[str, set[str]] = {}
        self._lacks: dict[str, set[str]] = {}
        self._counts: dict[str, int] = {}

    def reads(self) -> dict[str, Seen]:
        """For `Request.saw`."""
        found: dict[str, Seen] = {**self._values}
        for key in {**self._listed, **self._has, **self._lacks, **self._counts, **dict.fromkeys(self._complete)}:
            listed = self._listed.get(key, [])
            if key in self._complete:
                found[key] = tuple(listed)
            else:
                has = (*listed, *(token for token in self._has.get(key, ()) if token not in listed))
                found[key] = Some(has, tuple(self._lacks.get(key, ())), self._counts.get(key))
        return found

    # One thing each

    def value(self, key: str, value: Value) -> None:
        self._values[key] = value

    def listed(self, key: str, token: str) -> None:
        """An entry of a list: there as often as it is shown."""
        self._listed.setdefault(key, []).append(token)

    def complete(self, key: str) -> None:
        """What is listed under the key is all there is."""
        self._complete.add(key)

    def flag(self, key: str, token: str, is_there: bool) -> None:
        """However often it is shown, it is one thing."""
        (self._has if is_there else self._lacks).setdefault(key, set()).add(token)

    # Of Conduit

    def person(self, person: Person, seen: Any) -> None:
        """A user or a profile."""
        expect(seen["username"], person.name, "the name of a person")
        self.flag(PEOPLE_KEY, person.name, True)
        self.value(person.bio_key, seen["bio"])

    def profile(self, person: Person, seen: Any) -> None:
        self.person(person, seen)
        if self._who is None:
            expect(seen["following"], False, "following of nobody")
        else:
            self.flag(self._who.follows_key, person.name, seen["following"])

    def article(self, article: Article, seen: Any) -> None:
        """As lists have it; `body` is apart."""
        expect(seen["description"], article.description, f"description of {article.slug}")
        expect(seen["tagList"], article.tags, f"tags of {article.slug}")
        self.listed(article.author.articles_key, article.description)
        self.value(article.title_key, seen["title"])
        self.profile(article.author, seen["author"])
        if self._who is None:
            expect(seen["favorited"], False, "favorited by nobody")
        if article.exists.is_so:  # else its likes may be deleted with it, though the answer still has the article
            self._counts[article.likes_key] = seen["favoritesCount"]
            if self._who is not None:
                self.flag(article.likes_key, self._who.name, seen["favorited"])

    def body(self, article: Article, seen: Any) -> None:
        """Its last line is what differs; the rest is the same for all."""
        paragraph, _, version = seen["body"].rpartition("\n")
        expect(paragraph, PARAGRAPH, f"the body of {article.slug} but for its last line")
        self.value(article.body_key, version)

    def missing(self, article: Article) -> None:
        self.flag(article.author.articles_key, article.description, False)

    def entries(self, entries: list[Any]) -> list[Article]:
        """A list of articles, the newest first. Those of other worlds are passed over, but none of an author of this one."""
        created = [each["createdAt"] for each in entries]
        expect(created, sorted(created, reverse=True), "times of a list")
        found: list[Article] = []
        for each in entries:
            article = self._world.by_description.get(each["description"])
            author = self._world.by_name.get(each["author"]["username"])
            if article is not None and article.is_shown_as(each["slug"]):
                self.article(article, each)
                found.append(article)
            elif article is not None:  # one too many, which is told; its title and likes are not those of the one that is known
                self.listed(article.author.articles_key, article.description)
                found.append(article)
            elif author is not None:
                self.listed(author.articles_key, each["description"])
        return found

    def tags(self, seen: Iterable[str]) -> None:
        for tag, times in Counter(seen).items():
            expect(times, 1, f"times {tag} is listed")
        for tag in TOPICS:
            if tag not in seen:
                self.flag(TAGS_KEY, tag, False)
