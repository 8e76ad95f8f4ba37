"""The commands, one module each, named by the verb."""
