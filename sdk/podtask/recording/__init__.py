"""What is recorded about a flow run, so that it can be seen, cancelled and deleted later.

    flow_engine ──> record (when) ──> document (what), values (bounded texts) ──> the backend's keeper (where)

Keepers: `podtask.backends.kubernetes.flow_records` (a FlowRun on the cluster) and
`podtask.backends.in_process.flow_records` (a file below PODTASK_HOME). A failure to record never fails a flow.
"""
