"""The commands of the command line, a module for each group; `app.cli.main` joins them."""
