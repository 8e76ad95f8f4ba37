"""The controller of the `local` and `process` backends: the lifecycle in the driver, with a result cache on disk."""
