"""Local stand-in until the colleague's move; not committed."""
