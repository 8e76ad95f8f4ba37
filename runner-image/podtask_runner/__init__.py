"""What runs inside a pod: a supervisor, a child with the user's code, and the formats both speak.

The bottom layer of podtask. Python 3.10 or newer, the standard library and cloudpickle, nothing else:
what is imported here decides how fast a pod reaches user code.

The road of one attempt: `supervisor` (process 1) reads the `protocol.Grants`, starts the `child`, which
loads code and arguments, calls the function and leaves a payload; the supervisor stores it and says
what happened as one `protocol.Outcome`.
"""
