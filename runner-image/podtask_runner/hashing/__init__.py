"""Content hashes and code identity. Shared with SDK and operator."""
