"""`podtask doctor`: everything between this machine and the pod of a TaskRun, one check after the other.

    command ──> cluster (server, CRD, rights, operator)   store (bucket, conditional writes)   trial (a TaskRun)
            ──> findings: a word, a sentence, a cure

`compat` is `podtask doctor store`: what an S3 server can do. No check stops the others.
"""
