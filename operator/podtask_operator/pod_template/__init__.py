"""`spec.podTemplate`: what users may add to a pod, by allow-list."""
