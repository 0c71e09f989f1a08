"""The table of prices: what it means, and what is refused."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from foundry_tui.reports import prices
from foundry_tui.reports.prices import PriceError, Prices

HEADER = "gpu_type,price_per_gpu_hour,currency,valid_from_utc,valid_to_utc"


def second(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def table(folder: Path, *lines: str, header: str = HEADER) -> Prices:
    path = folder / "prices.csv"
    path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return prices.read(path)


def refused(folder: Path, *lines: str, header: str = HEADER) -> str:
    with pytest.raises(PriceError) as error:
        table(folder, *lines, header=header)
    assert str(folder / "prices.csv") in str(error.value)
    return str(error.value)


def test_r14_a_price_holds_from_its_begin_up_to_its_end(tmp_path: Path) -> None:
    found = table(
        tmp_path,
        "h100,2.50,EUR,2026-01-01,2026-02-01T00:00:00Z",
        "h100,3,EUR,2026-02-01,",
    )
    begin, change = second("2026-01-01"), second("2026-02-01")
    assert found.changes_s == (begin, change)
    told = found.over("lab", "h100", (begin - 1, begin, change - 1, change, 2 * change))
    assert [price and price.per_gpu_hour for price in told] == [
        None,
        Decimal("2.50"),
        Decimal("2.50"),
        Decimal(3),
        Decimal(3),
    ]
    assert [str(price.shown) for price in found.table] == ["2.50", "3.00"]


def test_r14_costs_are_exact_decimals(tmp_path: Path) -> None:
    price = table(tmp_path, "h100,0.1,EUR,,").at("lab", "H100", 0)
    assert price is not None
    assert price.cost(3 * 3_600_000, 0) == Fraction(3, 10)  # 0.30000000000000004 in floats
    assert price.cost(1, 0) == Fraction(1, 36_000_000)


def test_r09_any_is_priced_by_worth_and_a_named_type_as_it_is_billed(tmp_path: Path) -> None:
    found = table(tmp_path, "*,7,EUR,,", "1g.10gb,2,EUR,,")
    hour = 3_600_000
    other, named = found.at("lab", "2g.20gb", 0), found.at("lab", "1g.10gb", 0)
    assert other is not None
    assert named is not None
    assert other.cost(hour, 2 * hour // 7) == Fraction(2 * hour // 7, hour) * 7
    assert named.cost(hour, hour // 7) == 2


def test_the_most_particular_price_holds(tmp_path: Path) -> None:
    found = table(
        tmp_path,
        "*,1,EUR,,,",
        "*,2,EUR,,,alpha",
        "h100,3,EUR,,,",
        "h100,4,EUR,,,alpha",
        "l40s,5,EUR,,,",
        header=HEADER + ",cluster",
    )

    def at(cluster: str, gpu_type: str | None) -> int:
        price = found.at(cluster, gpu_type, 0)
        return -1 if price is None else int(price.per_gpu_hour)

    assert [at("beta", "a100"), at("alpha", "a100"), at("alpha", None)] == [1, 2, 2]
    assert [at("beta", "h100"), at("alpha", "H100"), at("alpha", "l40s")] == [3, 4, 5]


def test_the_file_may_come_from_a_spreadsheet(tmp_path: Path) -> None:
    """A byte order mark, CRLF, quotes, columns in another order, empty lines."""
    data = b"\xef\xbb\xbfcurrency,gpu_type,valid_to_utc,valid_from_utc,price_per_gpu_hour\r\n"
    data += b'EUR,"NVIDIA H100, 80GB",,,"2.5"\r\n\r\n,,,,\r\n'
    path = tmp_path / "prices.csv"
    path.write_bytes(data)
    found = prices.read(path)
    assert found.name == "prices.csv"
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert found.at("lab", "NVIDIA H100, 80GB", 0) == found.table[0]
    assert found.table[0].line == 2


def test_r14_overlapping_prices_are_refused_by_their_lines(tmp_path: Path) -> None:
    said = refused(
        tmp_path,
        "h100,2,EUR,2026-01-01,2026-03-01",
        "a100,1,EUR,,",
        "H100,3,EUR,2026-02-01,",
    )
    assert "lines 2 and 4" in said
    assert "'h100' at the same time" in said
    assert "lines 2 and 3" in refused(tmp_path, "*,1,EUR,,", "*,1,EUR,,")


def test_prices_of_two_clusters_do_not_overlap(tmp_path: Path) -> None:
    header = HEADER + ",cluster"
    assert len(table(tmp_path, "*,1,EUR,,,alpha", "*,1,EUR,,,beta", header=header).table) == 2


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (",2,EUR,,", "line 2: gpu_type is empty"),
        ("h100,-2,EUR,,", "line 2: price_per_gpu_hour is '-2'"),
        ("h100,NaN,EUR,,", "line 2: price_per_gpu_hour is 'NaN'"),
        ("h100,1e3,EUR,,", "line 2: price_per_gpu_hour is '1e3'"),
        ('h100,"2,50",EUR,,', "line 2: price_per_gpu_hour is '2,50'"),
        ("h100,٣,EUR,,", "line 2: price_per_gpu_hour"),
        ("h100,,EUR,,", "line 2: price_per_gpu_hour is ''"),
        ("h100,2,€,,", "line 2: currency is '€'"),
        ("h100,2,EUR,yesterday,", "line 2: valid_from_utc is 'yesterday'"),
        ("h100,2,EUR,,2026-02-30", "line 2: valid_to_utc is '2026-02-30'"),
        ("h100,2,EUR,2026-01-01T00:00:00+02:00,", "line 2: valid_from_utc"),
        ("h100,2,EUR,2026-01-01T00:00:00.5Z,", "line 2: valid_from_utc"),
        ("h100,2,EUR,2026-01-01+01:00,", "line 2: valid_from_utc"),
        ("h100,2,EUR,2026-02-01,2026-02-01", "line 2: valid_to_utc 2026-02-01 is not after"),
        ("h100,2,EUR,", "line 2: 4 fields, where the header has 5"),
        ('h100,"2,EUR,,', "no CSV file"),
    ],
)
def test_a_wrong_line_is_refused_with_its_field(tmp_path: Path, line: str, words: str) -> None:
    assert words in refused(tmp_path, line)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("gpu_type,price,currency,valid_from_utc,valid_to_utc", "no column price_per_gpu_hour"),
        (HEADER + ",rebate", "a column unknown here, 'rebate'"),
        (HEADER + ",currency", "twice the column 'currency'"),
        ("", "no column gpu_type"),
    ],
)
def test_a_wrong_header_is_refused(tmp_path: Path, header: str, words: str) -> None:
    assert words in refused(tmp_path, "h100,2,EUR,,", header=header)


def test_a_table_without_prices_is_refused(tmp_path: Path) -> None:
    assert "no price in it" in refused(tmp_path)


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(PriceError, match=r"nowhere\.csv: cannot be read: No such file"):
        prices.read(tmp_path / "nowhere.csv")
    with pytest.raises(PriceError, match="cannot be read: Is a directory"):
        prices.read(tmp_path)
    path = tmp_path / "latin.csv"
    path.write_bytes(f"{HEADER}\nh100,2,".encode() + b"\xa4,,\n")
    with pytest.raises(PriceError, match=r"latin\.csv, line 2: not UTF-8"):
        prices.read(path)


def test_a_device_that_never_ends_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(PriceError, match="longer than 16777216 bytes"):
        prices.read(Path("/dev/zero"))


def test_hostile_text_of_the_table_comes_out_harmless(tmp_path: Path) -> None:
    assert "\x1b" not in refused(tmp_path, "h100,\x1b[31m2,EUR,,")
