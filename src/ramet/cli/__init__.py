"""The ramet command."""


def main() -> None: ...
