"""FlowRuns in the operator: which TaskRuns belong to one, whether it was cancelled, whether its driver lives.

    watch ──> held (index) ──ended_by──> observer ──> rule flow_cancelled          keeper: DriverLost, time to live

A driver needs no operator for its record; what is here is what has to hold without a driver.
"""
