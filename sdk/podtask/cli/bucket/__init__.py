"""The commands about the bucket: what nobody needs, and whose it is."""
