"""What is measured, and on whom the checks are tried: nothing in here is shipped."""
