"""What SDK and operator share: names, keys, status, lifecycle (pure), models (pydantic, the CRD) and stores.

Below: `podtask_runner`. Above: the SDK (`podtask.*`) and the operator (`podtask_operator`).
"""
