"""Error texts and log lines of the products people run: recognised and explained. One rule file per product."""
