"""The pipeline after: the same scripts as steps. `backsweep pipeline examples/migration/pipeline.py`."""

from selection import select

from backsweep.flow import Pipeline, StoredData, step

deliver = step(["python", "deliver.py", "raw"], outputs=["raw"])
scan = step(["python", "scan.py", "raw", "build/scan.json"], inputs=[deliver], outputs=["build/scan.json"])
ingest = step(
    ["python", "ingest.py", "raw", "build/scan.json", "build/lake"],
    inputs=[deliver, scan],
    outputs=[StoredData("migration", "build/lake")],  # a version of the data set `migration`, too
)
selection = step(
    select,  # a function of selection.py, called with the paths of inputs and outputs
    inputs=[ingest],
    outputs=["build/prices.parquet"],
    parameters={"since": "2000-01-03", "min_coverage": 0.99, "most_assets": 12},
    name="selection",
)
pipeline = Pipeline([deliver, scan, ingest, selection], sweep="sweep.yaml")
