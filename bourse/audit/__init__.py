"""The auditor: proves from the topics alone that the market did what it promises, or says which record shows otherwise.

It shares nothing with what it audits: it knows the records (`bourse.schemas`) and nothing else of the project, reads ids,
books, costs and obligations by itself, and so can contradict the stages. docs/audit.md says what each equation means.
"""

from bourse.audit.auditor import Auditor
from bourse.audit.entries import Entry
from bourse.audit.equations import Equation, Finding, Offence, Report, Result

__all__ = ["Auditor", "Entry", "Equation", "Finding", "Offence", "Report", "Result"]
