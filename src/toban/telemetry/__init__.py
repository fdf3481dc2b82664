"""What Toban tells of itself: logs."""
