"""What has moved: what readers suggest to buy, with a database of its own."""
