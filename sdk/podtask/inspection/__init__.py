"""What people are shown of TaskRuns, before anybody prints it: the command and the page stand on this.

    cluster (asks) ──> task_run (reads) ──> description, next_step (words)
                   ├─> log_sources (an attempt's output, wherever it is)
                   └─> smoke (`helm test`: a TaskRun of its own)

Below: `podtask.core`, `podtask.kube`. Above: `podtask.cli`, `podtask.ui`.
"""
