"""Power, energy, CO2 and cost of jobs, users, accounts and nodes, as the ledger has added them up."""

from aggregator.engine.part import Part
from aggregator.parts.energy.columns import OF_JOBS, TABLES
from aggregator.parts.energy.join import join_energy
from aggregator.parts.jobs.declare import of_input

PART = Part(name="energy", join=join_energy, tables=TABLES, columns={"jobs": of_input("ledger", OF_JOBS)})
