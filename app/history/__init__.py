"""What was said and measured, kept: the database, exports, saved contexts. Knows no Qt."""
