"""Which running jobs waste what is allocated to them, by rules that a site can change."""

from aggregator.engine.part import Part
from aggregator.parts.waste.columns import WASTE, WASTE_RULES
from aggregator.parts.waste.join import join_waste

PART = Part(name="waste", join=join_waste, tables=(WASTE, WASTE_RULES))
