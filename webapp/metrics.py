"""What is counted, each where it happens; /metrics shows it to Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter(
    "holdfast_requests", "Requests answered.", ["method", "route", "status"]
)
SECONDS = Histogram(
    "holdfast_request_seconds",
    "Seconds from the begin of a request to its answer.",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
PASSWORDS = Counter(
    "holdfast_passwords",
    "Passwords and one-time codes given: right, wrong, limited, busy, disabled.",
    ["result"],
)
LIMITED = Counter("holdfast_limited", "Refused by a limit.", ["limit"])
STORE_ERRORS = Counter("holdfast_store_errors", "A store failed.", ["store"])
DATABASE_ERRORS = Counter("holdfast_database_errors", "The database failed.")
CACHED_VALUES = Counter("holdfast_cached_values", "Looked for a value.", ["result"])
BREACH_CHECKS = Counter(
    "holdfast_breach_checks",
    "New passwords looked for in data breaches: breached, clean, unavailable.",
    ["result"],
)
OPEN_PAGES = Gauge(
    "holdfast_open_pages",
    "Pages that are open and wait for news.",
    multiprocess_mode="livesum",
)
HASHES = Gauge(
    "holdfast_hashes_waiting",
    "Passwords that wait to be hashed, the one in hand included.",
    multiprocess_mode="livesum",
)
