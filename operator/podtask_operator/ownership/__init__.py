"""Which release works in which namespace: an owner's mark per namespace, a Lease that is renewed rarely."""
