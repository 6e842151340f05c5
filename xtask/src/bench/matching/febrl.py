"""Febrl's files as plain CSV, the person in a column: febrl.py IN.csv.gz OUT.csv
`rec-12-org` and `rec-12-dup-1` are person `rec-12`; cells lose the blanks around them, as the baseline does it."""
import csv, gzip, io, sys

rows = csv.reader(io.TextIOWrapper(gzip.open(sys.argv[1]), encoding="utf-8"))
with open(sys.argv[2], "w", newline="", encoding="utf-8") as out:
    write = csv.writer(out)
    write.writerow([name.strip() for name in next(rows)] + ["cluster"])
    for row in rows:
        cells = [cell.strip() for cell in row]
        write.writerow(cells + ["-".join(cells[0].split("-")[:2])])
