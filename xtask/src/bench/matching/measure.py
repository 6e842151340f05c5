"""Runs a program and writes what it took: measure.py OUT.json PROGRAM ARGUMENT...
wait4 tells the most memory that the program, and nobody else, ever held."""
import json, os, sys, time

begun = time.perf_counter()
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
seconds = time.perf_counter() - begun
with open(sys.argv[1], "w") as out:
    json.dump({"seconds": seconds, "cpu_seconds": usage.ru_utime + usage.ru_stime, "mib": usage.ru_maxrss / 1024}, out)
sys.exit(os.waitstatus_to_exitcode(status))
