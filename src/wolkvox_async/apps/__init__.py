"""Front ends; they assemble what lies below and never know each other."""
