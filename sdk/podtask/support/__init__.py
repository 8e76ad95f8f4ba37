"""Helpers without a duty of their own: thread pool, captured prints, logging, notebook tables."""
