"""The Kubernetes API as the operator uses it: one client, and its login."""
