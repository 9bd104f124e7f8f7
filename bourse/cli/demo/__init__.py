"""`bourse demo`: a real trading day through the whole market, told and proved from its topics.

The command starts the stack and publishes the day; a reader folds what comes out into a summary and into checks of what is
known of the day; the auditor proves the rest. Nothing here decides anything about the market.
"""

from bourse.cli.demo.command import demo

__all__ = ["demo"]
