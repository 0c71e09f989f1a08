"""A stateful fake of the Run:ai control plane, for tests and demonstrations.

It schedules for real on a small cluster of its own: GPU fractions, quota, limits, preemption. It
is meant for some hundreds of workloads.
"""

from foundry_tui.schedulers.runai.fake.cluster import small_cluster
from foundry_tui.schedulers.runai.fake.control import Pace
from foundry_tui.schedulers.runai.fake.server import FakeRunai

__all__ = ["FakeRunai", "Pace", "small_cluster"]
