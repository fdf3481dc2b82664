"""The doors of Toban: web, command line. They import everything below and never each other."""
