"""Steps that bring an older set forward: one package for each version, `to_N`, which leads from N - 1 to N; `steps` has them in
order and takes them.

A step has `rows(connection)`, which changes the record, and `files(root)`, which changes other files of the set. The rows of
all steps are changed in one transaction: killed before it ends, the set is as it was. Files are changed after it, each
replaced as a whole; the table `unfinished_migrations` says that this is still to be done, and whoever opens the set next
goes on with it, so `files` may meet some that it changed already.

A step does not change once it is released: it uses nothing of the store but what is in its own package, as that changes
with every version. May import: `pipeline.core`, and `pipeline.store.schema` and `.untouched`.
"""
