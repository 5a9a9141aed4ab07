"""What can be known of a recipe, its data and its model before any GPU hour."""
