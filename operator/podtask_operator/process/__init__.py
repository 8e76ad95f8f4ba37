"""The operator as a process: wiring, leader election, health, metrics, logging, supervision."""
