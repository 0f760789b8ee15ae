"""The ledger: what closed windows add to runs, users and nodes, in frames.

It is no part, and lies below the state and the refresh: what it adds up is kept by the state and moved on by a
refresher of its own, whether or not anybody shows it. The part `energy` shows it.
"""
