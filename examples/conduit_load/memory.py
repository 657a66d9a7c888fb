"""What the users of the load know, and what they may therefore see.

Each value has one writer, who makes one request at a time, and any number of readers. A write that was acknowledged must be seen
by every read that begins later; one whose answer never came may be seen or not. So of a value a reader may see the last one that
was acknowledged when the read began, or any that was asked for since. That something exists is such a value too, True or False.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


class Value:
    """One that its owner changes: `write` when it is asked for, `acknowledge` when it was answered."""

    __slots__ = ("_acknowledged", "_written")

    def __init__(self, first: Any) -> None:
        self._written = [first]
        self._acknowledged = 0

    def __repr__(self) -> str:
        return f"<Value {self._written[self._acknowledged :]}>"

    @property
    def last(self) -> Any:
        return self._written[-1]

    @property
    def is_sure(self) -> bool:
        return self._acknowledged == len(self._written) - 1

    def write(self, value: Any) -> None:
        self._written.append(value)

    def acknowledge(self) -> None:
        self._acknowledged = len(self._written) - 1

    def mark(self) -> int:
        """For a read that begins now."""
        return self._acknowledged

    def possible(self, mark: int) -> list[Any]:
        """What a read that began at `mark` and ends now may see."""
        return self._written[mark:]


@dataclass(eq=False)
class Article:
    author: "Person"
    title: str
    description: str
    body: Value
    tags: list[str]
    slug: str = ""
    """Empty until it is known."""
    exists: Value = field(default_factory=lambda: Value(False))
    is_moving: bool = False
    """Its title is being changed, or may have been changed: its slug is not sure."""
    comments: "list[Comment]" = field(default_factory=list)

    @property
    def is_usable(self) -> bool:
        return bool(self.slug) and not self.is_moving and self.exists.last and self.exists.is_sure


@dataclass(eq=False)
class Comment:
    article: Article
    author: "Person"
    body: str
    """Written once in the world."""
    number: int = 0
    exists: Value = field(default_factory=lambda: Value(False))


@dataclass(eq=False)
class Person:
    name: str
    email: str
    password: str
    token: str = ""
    bio: Value = field(default_factory=lambda: Value(None))
    articles: list[Article] = field(default_factory=list)
    likes: dict[Article, Value] = field(default_factory=dict)
    follows: "dict[Person, Value]" = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Person {self.name}>"

    def like(self, article: Article) -> Value:
        return self.likes.setdefault(article, Value(False))

    def follow(self, other: "Person") -> Value:
        return self.follows.setdefault(other, Value(False))


class World:
    """All that was done. It outlives a phase, so that the next one can look whether all is there."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.people: list[Person] = []
        self.by_name: dict[str, Person] = {}
        self.articles: list[Article] = []
        """Those whose publication was acknowledged, and whose removal was not."""
        self.by_slug: dict[str, Article] = {}
        self.tags: set[str] = set()
        """Of articles whose publication was acknowledged."""
        self._numbers = itertools.count(1)

    def unique(self, word: str) -> str:
        return f"{word} {self.name}{next(self._numbers)}"

    def add(self, person: Person) -> None:
        self.people.append(person)
        self.by_name[person.name] = person

    def published(self, article: Article) -> None:
        self.articles.append(article)
        self.by_slug[article.slug] = article
        self.tags.update(article.tags)

    def moved(self, article: Article, slug: str) -> None:
        self.by_slug.pop(article.slug, None)
        article.slug = slug
        self.by_slug[slug] = article

    def deleted(self, article: Article) -> None:
        self.articles.remove(article)
        self.by_slug.pop(article.slug, None)


Conditions = Iterable[tuple[Value, ...]]
"""Of each entry of a list: it is there while all of these are true."""


class Marks:
    """The moment at which a read began, for the values that it may show. What is new since then counts as well."""

    def __init__(self, values: Iterable[Value]) -> None:
        self._marks = {value: value.mark() for value in values}

    def possible(self, value: Value) -> list[Any]:
        return value.possible(self._marks.get(value, 0))

    def bounds(self, entries: Conditions) -> tuple[int, int]:
        """How many of these the read must show at least, and may show at most."""
        seen = [[self.possible(value) for value in values] for values in entries]
        return sum(all(map(all, each)) for each in seen), sum(all(map(any, each)) for each in seen)
