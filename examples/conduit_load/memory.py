"""The users of the load, and what they know for sure: enough to choose what they do next, and to understand an answer.

Whether an answer is right is not decided here: it goes into the history, and `ramet.testing.history.check` judges it.
"""

import itertools
from dataclasses import dataclass, field

from ramet.testing.history import Finding, History


@dataclass
class Known:
    """Something that is so or not, in the eyes of the only one who changes it."""

    is_so: bool = False
    """As it was asked for last."""
    is_sure: bool = True
    """Each change was answered. One that was not may still come, so there is no way back from False."""
    _open: int = 0

    def ask(self, is_so: bool) -> None:
        self.is_so = is_so
        self.is_sure = False
        self._open += 1

    def told(self) -> None:
        self._open -= 1
        self.is_sure = not self._open

    @property
    def is_certain(self) -> bool:
        """It is so, for sure."""
        return self.is_so and self.is_sure


@dataclass(eq=False)
class Article:
    author: "Person"
    title: str
    tags: list[str]
    slug: str = ""
    """Empty until it is known."""
    exists: Known = field(default_factory=Known)
    is_moving: bool = False
    """Its title is being changed, or may have been changed: its slug is not sure."""
    comments: "list[Comment]" = field(default_factory=list)
    slugs: set[str] = field(default_factory=set)
    """All that it has had, for sure."""
    others: set[str] = field(default_factory=set)
    """Of a second article with its text, which somebody made of a command that ran twice."""

    def __post_init__(self) -> None:
        if self.slug:
            self.slugs.add(self.slug)
        self.description = f"About {self.title}"
        """It never changes, and no other article has it: the token of this one in the history."""
        self.title_key = f"title of {self.title}"
        self.body_key = f"body of {self.title}"
        self.likes_key = f"likes of {self.title}"
        self.comments_key = f"comments on {self.title}"

    def named(self, slug: str) -> None:
        """It has this slug from now on."""
        self.slug = slug
        self.slugs.add(slug)

    def is_shown_as(self, slug: str) -> bool:
        """Whether what is shown under a slug is this article, and not a second one with its text. What is unknown counts as this
        one for as long as its own slug is not sure."""
        if slug in self.slugs or slug in self.others:
            return slug in self.slugs
        if not self.slug or self.is_moving:
            return True
        self.others.add(slug)
        return False

    @property
    def is_usable(self) -> bool:
        return bool(self.slug) and not self.is_moving and self.exists.is_certain


@dataclass(eq=False)
class Comment:
    article: Article
    author: "Person"
    body: str
    """Written once in the world: its token in the history."""
    number: int = 0
    exists: Known = field(default_factory=Known)


@dataclass(eq=False)
class Person:
    name: str
    email: str
    password: str
    token: str = ""
    """Of the session, for the header of requests."""
    articles: list[Article] = field(default_factory=list)
    likes: dict[Article, Known] = field(default_factory=dict)
    follows: "dict[Person, Known]" = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bio_key = f"bio of {self.name}"
        self.articles_key = f"articles of {self.name}"
        self.follows_key = f"followed by {self.name}"

    def __repr__(self) -> str:
        return f"<Person {self.name}>"

    def like(self, article: Article) -> Known:
        return self.likes.setdefault(article, Known())

    def follow(self, other: "Person") -> Known:
        return self.follows.setdefault(other, Known())


PEOPLE_KEY = "people"
TAGS_KEY = "tags"


class World:
    """All that was done and told. It outlives a load, so that the next one can look whether all is there.

    name: makes what is written here different from what other worlds wrote to the same Conduit.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.history = History()
        self.reported: set[Finding] = set()
        """What an earlier load found already."""
        self.people: list[Person] = []
        self.by_name: dict[str, Person] = {}
        self.articles: list[Article] = []
        """Those whose publication was acknowledged, and whose removal was not."""
        self.by_slug: dict[str, Article] = {}
        self.by_description: dict[str, Article] = {}
        """All that were asked for."""
        self._numbers = itertools.count(1)

    def unique(self, word: str) -> str:
        return f"{word} {self.name}{next(self._numbers)}"

    def add(self, person: Person) -> None:
        self.people.append(person)
        self.by_name[person.name] = person

    def planned(self, article: Article) -> None:
        article.author.articles.append(article)
        self.by_description[article.description] = article

    def published(self, article: Article) -> None:
        self.articles.append(article)
        self.by_slug[article.slug] = article

    def moved(self, article: Article, slug: str) -> None:
        self.by_slug.pop(article.slug, None)
        article.named(slug)
        self.by_slug[slug] = article

    def deleted(self, article: Article) -> None:
        self.articles.remove(article)
        self.by_slug.pop(article.slug, None)
