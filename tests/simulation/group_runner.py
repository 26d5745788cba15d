"""One seed of consumer groups, for `runner.run_seeds`."""

from tests.simulation.group_bugs import group_bug_planted
from tests.simulation.group_story import simulate_groups
from tests.simulation.story import Outcome


def run_group_seed(seed: int, bug: str | None = None) -> Outcome:
    """One seed, with a bug planted in the product where one is named."""
    if bug is None:
        return simulate_groups(seed)
    with group_bug_planted(bug):
        return simulate_groups(seed)
