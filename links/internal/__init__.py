"""From process to process of one server: reaching a laptop whose socket another one holds."""
