"""Routes, binding, results and errors: an exchange becomes a call of your function."""
