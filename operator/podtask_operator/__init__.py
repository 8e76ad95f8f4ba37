"""The kopf operator: one direction, from an event to one status patch.

    handlers ──> queue ──> reconcile: observe ──> decide ──> apply
    (names)     (dedup,    (reads)    (pure, podtask.core.lifecycle)  (writes)
                 delay)

Pods hold no credentials and no API rights; the operator never unpickles anything and never fetches a URL a user gave.
"""
