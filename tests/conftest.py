"""What every test may ask for: the fixtures of the labs; and how Hypothesis looks for examples."""

import os

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.lab.plugin"]

# Time says nothing on a machine that is shared. Where components are required, as in CI, each run
# takes the same examples; any other run looks for new ones.
settings.register_profile(
    "foundry",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="FOUNDRY_REQUIRE" in os.environ,
)
settings.load_profile("foundry")
