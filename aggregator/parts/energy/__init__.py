"""Power, energy, CO2 and cost: what a closed window adds to runs, users, accounts and nodes, in frames."""
