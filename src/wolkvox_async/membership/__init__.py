"""A machine among others: it keeps its leases, and hands records over to the store that all share."""
