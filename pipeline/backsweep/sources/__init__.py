"""Read tables from the outside: files and the bundled set; the only stage that knows file formats."""
