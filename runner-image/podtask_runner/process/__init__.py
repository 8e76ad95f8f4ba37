"""The supervisor and its child: signals, logs, reports, delivery. Only pods and the process backend use it."""
