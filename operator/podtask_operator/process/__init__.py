"""The operator as a process: wiring, leader election, probes."""
