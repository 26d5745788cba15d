"""Consumer instances of the REST proxy family: what each holds, reads, and commits."""
