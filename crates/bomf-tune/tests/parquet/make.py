"""Small Parquet files for tests/parquet.rs, written as pandas, datasets and others do.

    python crates/bomf-tune/tests/parquet/make.py      (pyarrow 26.0.1)
"""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
N = 24
TEXTS = [f"text {i}: größer, \"{i % 5}\"" for i in range(N)]


def write(name, columns, metadata=None, **options):
    table = pa.table(columns)
    if metadata is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps(metadata)})
    pq.write_table(table, HERE / f"{name}.parquet", **options)


def features(names):
    label = {"names": names, "_type": "ClassLabel"}
    return {"info": {"features": {"text": {"dtype": "string", "_type": "Value"}, "label": label}}}


label = pa.array([i % 2 for i in range(N)], pa.int64())
# Every compression, page version and encoding of strings.
for codec in ["none", "snappy", "gzip", "lz4", "zstd", "brotli"]:
    write(f"codec-{codec}", {"text": TEXTS, "label": label}, compression=codec)
write("pages-v2", {"text": TEXTS, "label": label}, data_page_version="2.0", data_page_size=64)
write("groups", {"text": TEXTS, "label": label}, row_group_size=7, use_dictionary=False)
write(
    "delta",
    {"text": TEXTS, "label": label},
    use_dictionary=False,
    column_encoding={"text": "DELTA_BYTE_ARRAY", "label": "DELTA_BINARY_PACKED"},
)
# Types of labels.
write("bool", {"text": TEXTS, "label": [i % 2 == 0 for i in range(N)]})
write("bool-v2", {"text": TEXTS, "label": [i % 2 == 0 for i in range(N)]}, data_page_version="2.0")
write("uint8", {"text": TEXTS, "label": pa.array([200 + i % 2 for i in range(N)], pa.uint8())})
write("string", {"text": TEXTS, "label": ["no" if i % 2 else "yes" for i in range(N)]})
write("double", {"text": TEXTS, "label": [i / 4 for i in range(N)]})
write("float", {"text": TEXTS, "label": pa.array([float(i % 3) for i in range(N)], pa.float32())})
write("large", {"text": pa.array(TEXTS, pa.large_string()), "label": label})
# What Hugging Face's datasets say of the classes: not in the order of the alphabet, and one of
# them without an example.
names = ["not_equivalent", "equivalent", "unsure"]
write("class-label", {"text": TEXTS, "label": label}, features(names))
write("class-label-hidden", {"text": TEXTS, "label": [-1] * N}, features(names))
write("class-label-broken", {"text": TEXTS, "label": label}, features(["a", "a"]))
# What cannot be a text or a label.
nulls = [None if i == 4 else t for i, t in enumerate(TEXTS)]
write("null-text", {"text": nulls, "label": label})
write("nan-label", {"text": TEXTS, "label": [float("nan") if i == 4 else 0.5 for i in range(N)]})
write("nested-text", {"text": [[t] for t in TEXTS], "label": label})
write("nested-label", {"text": TEXTS, "label": [{"x": i} for i in range(N)]})
write("nested-beside", {"text": TEXTS, "more": [{"x": [i]} for i in range(N)], "label": label})
write("time-label", {"text": TEXTS, "label": pa.array(range(N), pa.timestamp("ms"))})
write("bytes-text", {"text": [b"\xff"] * N, "label": label})
write("empty", {"text": pa.array([], pa.string()), "label": pa.array([], pa.int64())})
