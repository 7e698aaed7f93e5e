"""SongEval and its scorers in other benchmarks; each importable without the benchmark."""
