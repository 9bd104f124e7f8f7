"""The `bourse` command: what a person types, and nothing that decides what the market does."""
