"""SQL projections on Sail: what of their selects gives the same rows there as in DuckDB, and how it is said."""
