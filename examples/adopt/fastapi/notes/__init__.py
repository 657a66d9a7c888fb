"""What has moved: the notes of tickets, with a database of their own."""
