WORDS_PER_MINUTE = 200


def minutes(text: str) -> int:
    return max(1, round(len(text.split()) / WORDS_PER_MINUTE))
