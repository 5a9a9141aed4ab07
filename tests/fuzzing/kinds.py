"""The table of kinds."""

from collections.abc import Mapping

from tests.fuzzing import (
    data_folders,
    data_tables,
    prediction_tables,
    properties,
    recipes,
    run_folders,
    texts,
)
from tests.fuzzing.cases import Kind

KINDS: Mapping[str, Kind] = {
    "prediction-tables": prediction_tables.KIND,
    "texts": texts.KIND,
    "data-tables": data_tables.KIND,
    "data-folders": data_folders.KIND,
    "recipes": recipes.KIND,
    "run-folders": run_folders.KIND,
    "properties": properties.KIND,
}
