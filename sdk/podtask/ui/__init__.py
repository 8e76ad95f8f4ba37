"""The page: flow runs and task runs in a browser, with the viewer's own rights. Extra `ui`.

    access (who may see) ──> live (list, watch, logs) ──> view (pure: rows, bars, nodes) ──> routes, templates

There is no database and no cluster-side server: everything on the page is an answer of the API server or of the bucket
to the viewer. Started by `podtask ui`; `report` draws the same pictures for `podtask describe`.
Below: `podtask.inspection`.
"""
