"""A TaskRun as JSON: its name, parsed, its image and cache key, the patch of its status."""
