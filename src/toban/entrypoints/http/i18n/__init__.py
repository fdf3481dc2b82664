"""The words of the pages, in English and Japanese, and the translation of what the analysis says by code."""
