"""Public data by URL: fetched, verified, and brought into the form that the stage `inputs` reads."""
