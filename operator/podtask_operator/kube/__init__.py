"""The Kubernetes API as the operator uses it: client, kopf, the watch of pods, resync; `intake` hands events on."""
