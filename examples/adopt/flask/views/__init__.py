"""What has moved: how often pages were looked at, in a database now, so that each instance says the same."""
