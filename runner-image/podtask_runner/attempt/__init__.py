"""One attempt inside the child: load, call, serialize. Only pods and the process backend use it."""
