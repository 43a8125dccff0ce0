"""The application: catalog, downloads, storage, command line, window and server."""

__version__ = "0.1.0"
