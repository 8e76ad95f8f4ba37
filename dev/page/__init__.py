"""Pictures of the page for the documentation, and what the tests check the page with."""
