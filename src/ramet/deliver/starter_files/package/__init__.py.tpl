"""{{ name }}. Each package in here is a module; its `api` is what the others may import."""
