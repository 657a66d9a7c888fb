"""Who bought what, at the price of that day."""
