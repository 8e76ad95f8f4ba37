"""What every part of the operator uses: metrics, log lines, signs of life, services that are started again."""
