"""A flow run in the driver: parameters, calls, futures, states; and `backend`, the port that backends implement."""
