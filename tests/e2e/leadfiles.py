"""CSV files of leads whose every count is known, and the imports of them."""

import csv
import dataclasses
import io
import random

FINAL = ("completed", "failed")


@dataclasses.dataclass
class LeadFile:
    """A CSV with what an import of it into an empty tenant must come to. Row numbers count the header as 1."""

    text: str
    rows: int
    emails: set[str]
    duplicates: int
    refused: list[int]

    @property
    def counts(self) -> dict:
        """What starting its import answers."""
        return {"row_count": self.rows, "valid_row_count": self.rows - len(self.refused),
                "duplicate_count": self.duplicates, "invalid_row_count": len(self.refused)}

    @property
    def outcome(self) -> dict:
        """Where its import ends."""
        return outcome(created=len(self.emails), skipped=self.duplicates, failed=len(self.refused))


def outcome(created: int = 0, updated: int = 0, skipped: int = 0, failed: int = 0) -> dict:
    rows = created + updated + skipped + failed
    return {"status": "completed", "row_count": rows, "processed": rows,
            "created": created, "updated": updated, "skipped": skipped, "failed": failed}


def lead_file(unique: int, duplicates: int = 0, refused: int = 0, quoted: int = 0, name: str = "person", seed: int = 1) -> LeadFile:
    """Rows in random order: `unique` leads, `duplicates` of some of them in other spellings, `refused` rows that make no lead
    for one of three reasons; `quoted` of the leads, none of which comes twice, have a cell with line breaks and quotes."""
    rng = random.Random(seed)
    people = [f"{name}{n}@example.com" for n in range(unique)]
    rows = [[email, f"First{n}", "Last", f"Company {n % 97}", 'two\r\nlines, "quoted"' if n < quoted else "plain"]
            for n, email in enumerate(people)]
    for n in range(duplicates):
        email = people[quoted + n % (unique - quoted)]
        rows.append([email.upper() if n % 2 else f"  {email} ", "Other", "Name", "", ""])
    bad = {}
    for n in range(refused):
        row = [[f"{name}{n}(at)example.com", "No", "Address", "", ""], ["", "Nobody", "At all", "", ""],
               [f"wide{n}@example.com", "Too", "Many", "Cells", "here", "and here"]][n % 3]
        bad[id(row)] = row
        rows.append(row)
    rng.shuffle(rows)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["E-mail", "First Name", "Last Name", "Company", "Notes"])
    writer.writerows(rows)
    numbers = [number for number, row in enumerate(rows, start=2) if id(row) in bad]
    return LeadFile(out.getvalue(), len(rows), set(people), duplicates, numbers)


def start_csv(api, text, **options) -> dict:
    """Starts an import of a `text/csv` body; `options` are of the query."""
    body = text.encode() if isinstance(text, str) else text
    return api.want(202, "POST", "/leads/import", data=body, params=options, headers={"content-type": "text/csv"})


def finished(api, until, started: dict, seconds: float = 60) -> dict:
    """The import once it has ended. While it runs, its numbers only grow and always add up."""
    path = f"/leads/import/{started['import_job_id']}"
    seen = {"processed": 0}

    def ended():
        job = api.want(200, "GET", path)
        assert job["created"] + job["updated"] + job["skipped"] + job["failed"] == job["processed"] >= seen["processed"], job
        seen.update(job)
        return job["status"] in FINAL and job

    return until(ended, f"the end of {path}", seconds=seconds, every=0.25)


def run_csv(api, until, text, seconds: float = 60, **options) -> dict:
    """Imports a `text/csv` body and answers with the ended import."""
    return finished(api, until, start_csv(api, text, **options), seconds)


def subset(job: dict, of: dict) -> dict:
    """Those entries of `job` that `of` speaks about, to be compared with it."""
    return {name: job[name] for name in of}


def pages(api, path: str, plural: str, **params) -> list[dict]:
    """Every entry of a listing, page by page."""
    found, cursor = [], None
    while True:
        page = api.want(200, "GET", path, params={"limit": 100, **params, **({"cursor": cursor} if cursor else {})})
        found += page[plural]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def emails(api) -> list[str]:
    return [lead["email"] for lead in pages(api, "/leads", "leads")]


def refused_rows(api, job: dict) -> list[dict]:
    """The rows of the import's CSV of errors."""
    answer = api.get(f"/leads/import/{job['import_job_id']}/errors", allow_redirects=True)
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/csv"), answer.text[:500]
    return list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))
