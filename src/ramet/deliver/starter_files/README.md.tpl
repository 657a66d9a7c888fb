# {{ name }}

A backend on [Ramet](https://pypi.org/project/ramet/): modules in Python, and a `ramet.toml` that says where they run.

```console
$ pip install "ramet[all,testing]"
$ pytest                 # the tests, in one process and apart
$ ramet dev              # one process, PostgreSQL included, new start on change; http://127.0.0.1:8000/docs
$ ramet up grown         # three processes with Envoy in front, on the same data; Ctrl-C stops them
$ ramet docs             # what each module offers, with a picture
```

`{{ package }}/catalog` owns the items, `{{ package }}/orders` the orders; `orders` asks `catalog` for prices. They are an example: rename
them, or write your own beside them and remove them.

## Add a module

A module is a package with a face, `api.py`. For one called `reviews`:

1. `{{ package }}/reviews/__init__.py` with a docstring that says what the module is for, and `{{ package }}/reviews/api.py` with

   ```python
   from ramet import Module

   module = Module("reviews", uses=["catalog"])  # the modules that it calls
   ```

2. in `ramet.toml`: `modules = [..., "{{ package }}.reviews"]`. Services with `"*"` run it.

## Add a call

A typed function of the face, exposed. Other modules import the face and await it; where it runs is none of their business.

```python
@module.expose(idempotent=True, raises=[NoSuchItem])  # may be repeated; this failure arrives as itself
async def stars(sku: str) -> float: ...
```

```python
from {{ package }}.reviews import api as reviews  # in another module, whose `uses` lists "reviews"

average = await reviews.stars("lamp")
```

Parameters and results are types that can cross a network: scalars, lists, dicts, `msgspec.Struct`, dataclasses.

## Add an endpoint

The same function with a method and a path in place of `expose`; it is still a call. Names in braces come from the path, scalars from
the query, everything else is the JSON body. Failures answer with their own status.

```python
@module.get("/reviews/{sku}", raises=[NoSuchItem])
async def reviews_of(sku: str, limit: int = 20) -> list[Review]: ...
```

## Add a table

A module with data says `db = module.database()` in its face: a schema and a role of its own, which no other module can read.

```console
$ ramet migrate new reviews "reviews"     # writes the next migration of the module; put the CREATE TABLE into it
$ ramet migrate up                        # `ramet dev` and `ramet up` do it too
```

```python
rows = await db.read().fetch("SELECT stars, text FROM reviews WHERE sku = $1", sku)
async with db.write() as tx:  # a transaction; one statement needs none: await db.write().execute(...)
    await tx.execute("INSERT INTO reviews (sku, stars, text) VALUES ($1, $2, $3)", sku, stars, text)
```

## Run it apart

A service is a line in `ramet.toml`. The code does not change, nor does the data.

```toml
[topology.grown.services]
web     = { modules = ["*"] }
reviews = { modules = ["reviews"], instances = 2 }
```

```console
$ ramet down && ramet up grown --detach
$ ramet status
```
