"""Writes parquet/: small files as pyarrow writes them, and the records that are in them.

    pip install pyarrow==26.0.1
    python make_parquet.py
"""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent / "parquet"
HERE.mkdir(exist_ok=True)

TEXTS = [f"Document {i}: " + "naïve café 😀 日本語 \r\n\t\"quoted\" \\ " * (i % 3 + 1) for i in range(30)]
TEXTS[4] = None
TEXTS[5] = ""
# The same text again and again is kept in a dictionary.
TEXTS[10:14] = ["The same document."] * 4

plain = pa.table({"id": pa.array(range(30), pa.int64()), "text": TEXTS})
for codec in ["none", "snappy", "gzip", "zstd", "brotli", "lz4"]:
    pq.write_table(plain, HERE / f"{codec}.parquet", compression=codec, row_group_size=7)
pq.write_table(plain, HERE / "paged.parquet", row_group_size=30, data_page_size=64, write_page_index=True,
               write_batch_size=2, use_dictionary=False)
pq.write_table(plain, HERE / "version-2.parquet", data_page_version="2.0", version="2.6", row_group_size=11,
               column_encoding={"text": "DELTA_LENGTH_BYTE_ARRAY", "id": "DELTA_BINARY_PACKED"}, use_dictionary=False)
pq.write_table(plain.cast(pa.schema([("id", pa.int64()), ("text", pa.large_string())])), HERE / "large-string.parquet")
pq.write_table(plain.slice(0, 0), HERE / "empty.parquet")

message = pa.struct([("role", pa.string()), ("content", pa.string())])
MESSAGES = [
    [{"role": "user", "content": f"Question {i}?"}, {"role": "assistant", "content": "Answer. " * i}] for i in range(8)
]
MESSAGES[3] = None
MESSAGES[5] = []
pq.write_table(pa.table({"messages": pa.array(MESSAGES, pa.list_(message))}), HERE / "messages.parquet", row_group_size=3)

pq.write_table(pa.table({"messages": pa.array(MESSAGES * 20, pa.list_(message))}), HERE / "messages-paged.parquet",
               data_page_size=64, write_page_index=True, write_batch_size=2, use_dictionary=False)

turn = pa.struct([("from", pa.string()), ("value", pa.string())])
TURNS = [[{"from": "human", "value": f"Hello {i}"}, {"from": "gpt", "value": "Good day."}] for i in range(4)]
pq.write_table(pa.table({"source": ["a"] * 4, "conversations": pa.array(TURNS, pa.list_(turn))}), HERE / "sharegpt.parquet")

(HERE / "records.json").write_text(
    json.dumps({"text": TEXTS, "messages": MESSAGES, "conversations": TURNS}, ensure_ascii=False, indent=1) + "\n"
)
