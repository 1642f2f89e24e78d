"""The known failures and their cures, as data: one TOML file for each, named by its id. `midstream.doctor.entries`
reads them; its types are the schema."""
