"""Many recipes → many runs → one table, its report and its figures."""
