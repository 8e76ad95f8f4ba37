"""What happens in the cluster, handed on to the controller: kopf for TaskRuns, an own watch for pods, and lists."""
