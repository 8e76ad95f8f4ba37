"""The description of tasks and flows, and the record of a task run: below everything that works with them."""
