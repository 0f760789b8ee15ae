"""The ledger: what closed windows add to runs, users and nodes, in frames.

It is no part, and lies below the state and the refresh: what it adds up is kept by the state and moved on by a
refresher of its own, whether or not anybody shows it. The part `energy` shows it.

A window costs as much by its operations as by its rows. Rows are therefore found by their numbers where that is
possible (`frame[rows]`, which knows null) instead of by joins, expressions are made once, and columns one after the
other (`…_seq`): threads would cost more than they bring.
"""
