"""The models of a BacktestSweep's spec, a module for each part; `backsweep_api.documents` reads them."""
