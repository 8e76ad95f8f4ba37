"""Keeps the idle pods of WarmPools: look at a pool, plan, delete and create, say so in its status."""
