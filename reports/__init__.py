"""Evidence: results, pictures, the working view."""
