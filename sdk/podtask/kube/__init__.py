"""The Kubernetes API for the SDK and the command: client, errors, statuses, the bucket of the installation."""
