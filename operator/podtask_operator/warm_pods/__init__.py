"""Idle pods of WarmPools: how one looks, which attempts it fits, which one an attempt takes, and the claim itself."""
