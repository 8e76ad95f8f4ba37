"""Flow runs in the command: `podtask flows`, and `flow/NAME` wherever a name is taken.

    flow_run (one FlowRun) ── select (which) ── tree (its TaskRuns) ──> list_flows, page (describe), steer (all others)

The other commands ask `select.split` whether a flow run is meant and hand over to `steer`.
"""
