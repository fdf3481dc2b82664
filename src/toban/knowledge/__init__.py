"""What Toban knows beyond one incident: which services there are and who calls whom."""
