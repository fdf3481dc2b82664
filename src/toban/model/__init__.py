"""The nouns of Toban: frozen records, enums, and their state tables. No input, no output, no clock."""
