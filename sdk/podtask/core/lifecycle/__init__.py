"""The life of a TaskRun as pure decisions: `decide(observed, now) -> Decision`.

model        what is looked at, what is answered      judge         how an attempt ended, what it costs
rules        the ordered list: the semantics          delays        when the next attempt may start
transitions  what ends and new attempts write         rendering     texts, conditions and Events of a status
sanitize     what a pod says of itself, made harmless pod_timeouts  how long a pod is waited for
concurrency  who holds a slot, whose turn it is       deadline, memory  the bounds of a whole run
pod_expectation  what may be expected of a pod that was to be created, before a watch shows it
"""

from podtask.core.lifecycle.rules import RULES, decide

__all__ = ["RULES", "decide"]
