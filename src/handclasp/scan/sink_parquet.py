"""Results in a Parquet file: the flat columns, with the types that they have. Needs pyarrow (extra ``parquet``).

A Parquet file is readable when its end is written, so it appears when the scan ends, and a scan into one cannot be
resumed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from handclasp.findings import Refused
from handclasp.scan import records
from handclasp.scan.outputs import exists, failed, unusable
from handclasp.scan.records import COLUMNS, Cell, Record

_GROUP: Final = 2000
"""Records that are held until they are written."""


class Parquet:
    """The file; it is in its place after ``close``. Refused (SCAN_UNUSABLE)."""

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self.path = path
        if path.exists() and not overwrite:
            raise exists(path)
        self._arrow, parquet = _arrow(path)
        kinds = {str: self._arrow.string(), int: self._arrow.int64(), float: self._arrow.float64()}
        kinds[bool] = self._arrow.bool_()
        self._schema = self._arrow.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])
        self._part = path.with_name(f".{path.name}.part")
        self._rows: list[dict[str, Cell]] = []
        try:
            self._part.unlink(missing_ok=True)
            self._file = self._part.open("xb")
            self._writer = parquet.ParquetWriter(self._file, self._schema, compression="zstd")
        except OSError as error:
            raise failed(path, error) from None

    def write(self, told: Record) -> None:
        """Add it."""
        self._rows.append(records.flat(told))
        if len(self._rows) >= _GROUP:
            self._flush()

    def close(self) -> None:
        """Write the end, and put the file into its place."""
        try:
            self._flush()
            self._writer.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._part.replace(self.path)
        except OSError as error:
            self._file.close()
            self._part.unlink(missing_ok=True)
            raise failed(self.path, error) from None

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        try:
            if rows:
                self._writer.write_table(self._arrow.Table.from_pylist(rows, schema=self._schema))
        except OSError as error:
            raise failed(self.path, error) from None


def rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    """These columns of a file of ours, row by row. Refused (SCAN_UNUSABLE)."""
    arrow, parquet = _arrow(path)
    try:
        with parquet.ParquetFile(path) as file:
            if set(columns) - set(file.schema_arrow.names):
                raise unusable(path, "it lacks columns of a scan", "Name a file that handclasp scan has written.")
            for batch in file.iter_batches(batch_size=_GROUP, columns=list(columns)):
                yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
    except arrow.ArrowException as error:
        why = f"it is no Parquet file: {str(error)[:200]}"
        raise unusable(path, why, "Name a file that handclasp scan has written.") from None
    except OSError as error:
        raise failed(path, error) from None


def _arrow(path: Path) -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise missing(path) from None
    return pyarrow, parquet


def missing(path: Path) -> Refused:
    """The library is not there."""
    fix = "Install it (pip install 'handclasp[parquet]'), or use JSON lines, CSV or SQLite."
    return unusable(path, "Parquet needs pyarrow, which is not installed", fix)
