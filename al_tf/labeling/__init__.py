"""Labelling by people: the ledger of labels, the session, and what comes out of them."""
