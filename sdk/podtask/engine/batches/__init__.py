"""`.map(..., batch_size=n)`: many calls in one task run, with a future for each."""
