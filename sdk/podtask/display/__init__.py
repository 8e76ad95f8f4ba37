"""What people see on stderr while a flow runs: lines, or a table on a terminal."""
