"""What the pages show, worked out from case files: free of language, markup and input or output."""
