"""Where a parameter of an endpoint comes from, where its type and the path do not say so already.

    async def list_articles(tag: str | None = None, agent: Annotated[str, Header("user-agent")] = "") -> list[Article]: ...

Without a marker: names in the path are path parameters; scalars and lists of scalars are query parameters; everything else is
the JSON body, which only POST, PUT and PATCH have. Light: `import ramet` re-exports this.
"""

import msgspec


class Header(msgspec.Struct, frozen=True):
    """A request header. name: as it is sent; by default the parameter's with hyphens, `user_agent` for `User-Agent`."""

    name: str = ""
    description: str = ""


class Cookie(msgspec.Struct, frozen=True):
    """A cookie. name: by default the parameter's."""

    name: str = ""
    description: str = ""


class Query(msgspec.Struct, frozen=True):
    """A query parameter, or with a Struct as its type, one for each of its fields. name: by default the parameter's."""

    name: str = ""
    description: str = ""


class Path(msgspec.Struct, frozen=True):
    """A path parameter, to describe it. The path names it in braces all the same."""

    description: str = ""


class Body(msgspec.Struct, frozen=True):
    """The body as JSON, also for a scalar, and as it came for `bytes`.

    embed: the body is an object that has the value under the parameter's name. So it always is where several parameters
    share the body.
    """

    embed: bool = False
    description: str = ""


class Form(msgspec.Struct, frozen=True):
    """A field of an HTML form, url-encoded or multipart, or with a Struct as its type, one for each of its fields.

    Files are parameters of Starlette's type `UploadFile` and need no marker.
    """

    name: str = ""
    description: str = ""


Marker = Header | Cookie | Query | Path | Body | Form
