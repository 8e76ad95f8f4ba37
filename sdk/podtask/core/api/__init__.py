"""The TaskRun resource: names, spec, status, CRD, quantities, resubmission."""
