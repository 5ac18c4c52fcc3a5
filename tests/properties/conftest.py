"""How long the properties are tried: HUIYIN_HYPOTHESIS=thorough tries them for many minutes."""

import os

from hypothesis import HealthCheck, Phase, settings

# The walks shorten a failure themselves, command by command, which says more than a smaller seed would.
_KEPT = (Phase.explicit, Phase.reuse, Phase.generate)
_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)

settings.register_profile(
    "usual", max_examples=60, deadline=None, print_blob=True, phases=_KEPT, suppress_health_check=_SLOW
)
settings.register_profile("thorough", parent=settings.get_profile("usual"), max_examples=5000)
settings.load_profile(os.environ.get("HUIYIN_HYPOTHESIS", "usual"))
