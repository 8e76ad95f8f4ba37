"""The user's project as source files: one archive per state of the project, and how a pod imports from it."""
