"""The catalog: a SQLite database that names everything, each row with its versions."""
