"""Made data: the sample shop, and a search log of simulated visitors."""

from rankfield.synthetic.click_simulation import ClickSimulation
from rankfield.synthetic.sample import sample_shop

__all__ = ["ClickSimulation", "sample_shop"]
