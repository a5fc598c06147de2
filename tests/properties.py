"""How many examples property-based tests draw: few and other ones each time at home; many, and the same for the same
test, in CI (where the variable `CI` is set), so that the verdict on a commit does not depend on chance.
"""

import os

from hypothesis import settings

AT_HOME, IN_CI = 25, 100
CI = bool(os.environ.get("CI"))

settings.register_profile("home", max_examples=AT_HOME, deadline=None)
settings.register_profile("ci", max_examples=IN_CI, deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if CI else "home")


def examples(in_ci: int) -> int:
    """Return the number of examples of a test that draws `in_ci` of them in CI."""
    return in_ci if CI else min(in_ci, AT_HOME)
