"""Objects to bytes and back: pickles, JSON, tables, compression. Shared with SDK and operator."""
