"""The bucket as the operator uses it: objects, grants, recent cache keys."""
