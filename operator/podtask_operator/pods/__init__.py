"""TaskRun to pod, and pod to facts: both directions of one conversion, and why no pod can be made."""
