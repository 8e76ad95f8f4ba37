"""The user's project as it travels: its modules as files, and what was changed in them since they were imported."""
