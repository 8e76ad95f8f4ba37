"""The result cache: keys, entries, and why a lookup missed."""
