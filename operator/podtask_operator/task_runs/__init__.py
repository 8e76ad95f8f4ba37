"""A TaskRun as JSON: parsed, validated, its cache key, the patch of its status."""
