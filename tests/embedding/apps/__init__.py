"""The programs of docs/embedding.md, word for word, so that they are linted and type-checked as well."""
