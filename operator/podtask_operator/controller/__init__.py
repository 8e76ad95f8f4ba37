"""observe > decide > apply: work queue, informer cache, reconciler, and the writes that follow."""
