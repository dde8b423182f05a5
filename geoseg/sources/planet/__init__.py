"""Planet's Data API: sign-in, search, orders and downloads."""
