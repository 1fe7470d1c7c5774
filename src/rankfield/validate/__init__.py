"""The audit of a data set: each problem with its table, row and field, and a cleaned copy."""

from rankfield.validate.audit import audit, first_error, load_valid, require_valid
from rankfield.validate.images import image_problems
from rankfield.validate.problems import Problem, Severity
from rankfield.validate.repair import fix
from rankfield.validate.summary import Summary, summarise

__all__ = [
    "Problem",
    "Severity",
    "Summary",
    "audit",
    "first_error",
    "fix",
    "image_problems",
    "load_valid",
    "require_valid",
    "summarise",
]
