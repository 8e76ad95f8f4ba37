"""Task runs as spans: what operator and in-process backends share."""
