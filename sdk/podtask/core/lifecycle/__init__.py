"""The life of a TaskRun as pure decisions: `decide(observed, now) -> Decision`.

model   what is looked at, what is answered        judge   how an attempt ended, what it costs
rules   the ordered list: the semantics            retry   when the next attempt may start
ending  what ends and new attempts write           view    texts, conditions and Events derived from a status
claims  what a pod says of itself, made harmless        patience how long a pod is waited for
limits  who holds a slot, whose turn it is      deadline, memory  the bounds of a whole run
"""

from podtask.core.lifecycle.rules import RULES, decide

__all__ = ["RULES", "decide"]
