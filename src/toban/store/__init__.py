"""Tables, queries, migrations. Every query is a plain function of a connection; `database.Database` runs them."""
