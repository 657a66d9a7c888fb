def shipping_cents(grams: int) -> int:
    return 490 if grams <= 1000 else 490 + 100 * -(-(grams - 1000) // 500)
