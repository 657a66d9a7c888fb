URGENT = {"down", "outage", "leak", "lost"}


def classify(text: str) -> str:
    return "urgent" if URGENT & set(text.lower().split()) else "normal"
