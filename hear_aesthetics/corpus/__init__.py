"""Corpora: audio in Parquet files, tar shards and object stores; results in Parquet shards."""
